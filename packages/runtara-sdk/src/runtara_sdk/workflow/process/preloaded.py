"""
Imports everything that a run imports late, for an interpreter that is forked for many runs.

A process of a single workflow imports modules when it first needs them, mainly pydantic and QUIC.
After a fork each run would import them again, which takes three times the CPU of the rest of the
run. This module also rehearses a run, because a second run is cheaper.
"""

# ruff: noqa: F401 - the imported names are not used here.

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

# The first value of a type makes its reader and writer; these are the most common types.
_PLAIN: tuple[object, ...] = (None, True, 1, 1.0, "", {}, [])
for value in _PLAIN:
    codec.encode("a first value", value, type(value))
codec.encode("a first value", None, Any)
rehearsal.rehearse()
leaving.spare()
