"""Entries: what is saved under a key, as JSON that a person can read in the database."""

import json
import logging
import zlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable

logger = logging.getLogger(__name__)

LIMIT = 63 * 2**20
"""Bytes that the core keeps of a state, or of an output."""

_WARN = 48 * 2**20
_COMPRESS = 2**20
_COMPRESSED = b"zlib:"


class Form(IntEnum):
    """
    How the values of an entry are written. Entries that don't say are of the first.

    ALIASES: fields of models have the names that others know. NAMES: those of the class.
    """

    ALIASES = 1
    NAMES = 2
    EITHER = 3  # never written: for what a person gives


class Kind(StrEnum):
    """What an entry says of its key."""

    START = "start"  # the workflow's name, input and format
    RESULT = "result"  # a step's, a promise's or any other value
    UNREAD = "unread"  # a step's, as its own type writes it: the annotation made another value
    FAILURE = "failure"  # a step's final failure; why what was sent is no value of a promise
    STRUCK = "struck"  # a cancel, a timeout or a group struck here; value: the key of which
    UNTIL = "until"  # a deadline; value: when
    INTENT = "intent"  # an effect is about to be tried
    ATTEMPT = "attempt"  # one that failed and is not the last; value: what, and when to try again


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One saved state.

    `value` is JSON text. `at` is the call's place among those of its branch, None for what is no
    call or has a key of its own; `call` shows the arguments of a step; `nth` orders what was thrown
    in tasks of asyncio's; `form` says how to read the value.
    """

    kind: Kind
    value: bytes = b"null"
    at: int | None = None
    call: str | None = None
    nth: int | None = None
    form: Form = Form.NAMES

    def encode(self) -> bytes:
        """Write it; raises NotSaveable for more than the core takes."""
        head: dict[str, object] = {"kind": self.kind}
        if self.at is not None:
            head["at"] = self.at
        if self.call is not None:
            head["call"] = self.call
        if self.nth is not None:
            head["nth"] = self.nth
        head["form"] = self.form
        text = json.dumps(head, ensure_ascii=False)[:-1].encode(errors="backslashreplace")
        return _packed(text + b', "value": ' + self.value + b"}")


def decode(key: str, state: bytes) -> Entry:
    """Read one; raises StateUnreadable for what this layer did not write."""
    try:
        plain = (
            zlib.decompress(state[len(_COMPRESSED) :]) if state.startswith(_COMPRESSED) else state
        )
        read = json.loads(plain)
        return Entry(
            Kind(read["kind"]),
            json.dumps(read["value"], ensure_ascii=False).encode(errors="backslashreplace"),
            read.get("at"),
            read.get("call"),
            read.get("nth"),
            Form(read.get("form", Form.ALIASES)),
        )
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise StateUnreadable(
            f"the state saved under {key!r} is none of a workflow of this SDK ({error}): it was"
            " left alone; give the workflow another instance id"
        ) from error


def _packed(state: bytes) -> bytes:
    if len(state) > _COMPRESS:
        state = _COMPRESSED + zlib.compress(state, 1)
    if len(state) > LIMIT:
        raise NotSaveable(
            f"a state of {len(state)} bytes is more than the core keeps ({LIMIT}): save the data"
            " elsewhere and return where it is"
        )
    if len(state) > _WARN:
        logger.warning("a state of %d bytes: the core keeps at most %d", len(state), LIMIT)
    return state
