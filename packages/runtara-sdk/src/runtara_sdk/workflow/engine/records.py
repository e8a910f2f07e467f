"""Records: the states saved under keys, as JSON that a person can read in the database."""

import json
import zlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.errors import NotSerializable, StateUnreadable
from runtara_sdk.workflow.values.arguments import Call
from runtara_sdk.workflow.values.form import Form

logger = get_logger(__name__)

LIMIT = 63 * 2**20
"""Bytes that the core keeps of a state, or of an output."""

VERSION = 3
"""The newest known form; a record without a form is of form 1."""

NAMES = 2
"""The form of records that need nothing newer; former versions can read them."""

_WARN = 48 * 2**20
_COMPRESS = 2**20
_COMPRESSED = b"zlib:"

_quoted = json.encoder.encode_basestring
"""A text in quotes, as JSON has it."""


class Kind(StrEnum):
    """The kind of a record."""

    START = "start"  # the workflow's name, input and format
    RESULT = "result"  # a step's, a promise's or any other value
    UNREAD = "unread"  # a step's, as its own type writes it: the annotation made another value
    FAILURE = "failure"  # a step's final failure; why what was sent is no value of a promise
    CANCELLED = "struck"  # by a cancel, a timeout or a group; value: the key of which
    UNTIL = "until"  # a deadline; value: when
    INTENT = "intent"  # an effect is about to be tried
    ATTEMPT = "attempt"  # one that failed and is not the last; value: what, and when to try again


@dataclass(slots=True)
class Record:
    """
    A saved state. It is never changed; a frozen dataclass would take five times as long to make.

    `value` is JSON text. `position` is the call's position in its branch, None for a record of no
    call or of a call with its own key. `call` shows the arguments of a step, in version 1 as one
    text. `nth` is the outcome's number in the order in which user code got the outcomes; version 2
    has it only for errors. `form` is the form of the value. `step` is the qualified name of the
    called step, and `signal` the name of a promise's signal; version 1 has neither. `branch` is the
    path of the branch of a call with its own key; versions 1 and 2 have none. A record that is not
    `is_kept` need not be saved. One that `is_repeatable` has a value that the core keeps for ever:
    it may be owed. `back` holds the value of a record that this run has made, as it was read back.
    """

    kind: Kind
    value: bytes = b"null"
    position: int | None = None
    call: Call | str | None = None
    nth: int | None = None
    form: Form = Form.NAMES
    step: str | None = None
    signal: str | None = None
    version: int = NAMES
    branch: str | None = None
    is_kept: bool = True
    is_repeatable: bool = False
    back: tuple[object] | None = field(default=None, init=False, repr=False, compare=False)
    _encoded: bytes | None = field(default=None, init=False, repr=False, compare=False)

    def numbered(self, number: int) -> Self:
        """Return a copy with the number of its outcome."""
        return replace(self, nth=number, version=VERSION)

    def in_branch(self, path: str) -> Self:
        """Return a copy for a call with a key of its own, made in this branch."""
        return replace(self, branch=path, version=VERSION)

    def repeatable(self) -> Self:
        """Return a copy that another run would make again."""
        return replace(self, is_repeatable=True)

    def check_size(self) -> None:
        """Raise NotSerializable for a state that is larger than the core takes."""
        _ = self.encoded

    @property
    def encoded(self) -> bytes:
        """Return the record as bytes; raises NotSerializable if it is too large for the core."""
        if self._encoded is None:
            self._encoded = self._encode()
        return self._encoded

    def _encode(self) -> bytes:
        # By hand: json takes three times as long.
        call = self.call if isinstance(self.call, Call) else None
        said = [f'{{"kind": "{self.kind}", "form": {self.version}']
        if self.position is not None:
            said.append(f'"at": {self.position}')
        if self.step is not None:
            said.append(f'"step": {_quoted(self.step)}')
        if call is not None:
            arguments = dict(call.arguments).items()
            texts = [f"{_quoted(name)}: {_quoted(text)}" for name, text in arguments]
            said.append(f'"call": {{{", ".join(texts)}}}')
            if call.by_position:
                said.append(f'"by_position": {call.by_position}')
        elif isinstance(self.call, str):
            said.append(f'"call": {_quoted(self.call)}')
        if self.signal is not None:
            said.append(f'"signal": {_quoted(self.signal)}')
        if self.nth is not None:
            said.append(f'"nth": {self.nth}')
        if self.branch is not None:
            said.append(f'"branch": {_quoted(self.branch)}')
        if self.form is Form.ALIASES:
            said.append('"by_alias": true')
        text = ", ".join(said).encode(errors="backslashreplace")
        return _packed(text + b', "value": ' + self.value + b"}")


def decode(key: str, state: bytes) -> Record:
    """Read a record; raises StateUnreadable if this layer did not write it."""
    try:
        plain = (
            zlib.decompress(state[len(_COMPRESSED) :]) if state.startswith(_COMPRESSED) else state
        )
        read = json.loads(plain)
        version = read.get("form", 1)
        if version > VERSION:
            raise StateUnreadable(
                f"the state saved under {key!r} has form {version}, and this SDK reads forms up to"
                f" {VERSION}: run the instance with the version that saved it, or a newer one"
            )
        by_alias = version == 1 or read.get("by_alias", False)
        return Record(
            Kind(read["kind"]),
            json.dumps(read["value"], ensure_ascii=False).encode(errors="backslashreplace"),
            read.get("at"),
            _call(read),
            read.get("nth"),
            Form.ALIASES if by_alias else Form.NAMES,
            read.get("step"),
            read.get("signal"),
            version,
            read.get("branch"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise StateUnreadable(
            f"the state saved under {key!r} was not saved by a workflow of this SDK ({error}), and"
            " is left unchanged: give the workflow another instance id"
        ) from error


def _call(read: dict[str, Any]) -> Call | str | None:
    match read.get("call"):
        case {**arguments}:
            texts = tuple((str(name), str(text)) for name, text in arguments.items())
            return Call(texts, read.get("by_position", 0))
        case str(text):
            return text
        case _:
            return None


def _packed(state: bytes) -> bytes:
    if len(state) > _COMPRESS:
        state = _COMPRESSED + zlib.compress(state, 1)
    if len(state) > LIMIT:
        raise NotSerializable(
            f"a state takes at most {LIMIT} bytes, got {len(state)}: save the data elsewhere, and"
            " return its location"
        )
    if len(state) > _WARN:
        logger.warning("large state of %d bytes: the core takes at most %d", len(state), LIMIT)
    return state
