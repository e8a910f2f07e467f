"""
What a run imports late, imported at once: for an interpreter that is forked for many runs.

A process that runs one workflow imports what it needs when it first needs it, pydantic and QUIC
above all. After a fork each run would import it anew, for three times the CPU of all else. And it
rehearses a run, which is cheaper the second time.
"""

# ruff: noqa: F401 - what is imported is not used here.

import encodings.idna
import zoneinfo
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any

from cryptography.hazmat.backends.openssl import backend
from pydantic_core import core_schema, to_jsonable_python

from runtara_sdk.client import calls, long_poll, requests, responses
from runtara_sdk.workflow.process import ahead, command, core_store, leaving, refusing, rehearsal
from runtara_sdk.workflow.values import codec, failures

# What reads and writes a value is made with the first one of its type; these are what most
# workflows give.
_PLAIN: tuple[object, ...] = (None, True, 1, 1.0, "", {}, [])
for value in _PLAIN:
    codec.encode("a first value", value, type(value))
codec.encode("a first value", None, Any)
rehearsal.rehearse()
leaving.spare()
