"""
The file of an exported instance: a line of JSON, then the instance as compressed JSON.

The line has the format's number and the SHA-256 of the bytes after it. In the document, moments are
ISO 8601, bytes are base64, and names are those of the records of `instance_copies`. A record has
texts, numbers, booleans and null, and is parsed alone: reading a hostile file therefore takes no
more memory than its text and the records of an instance.
"""

import hashlib
import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, get_args

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.history import EventType
from runtara_domain.model.instance_copies import (
    MOST_RECORDS,
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
)
from runtara_domain.model.launches import HIGHEST_PRIORITY, LOWEST_PRIORITY

FORMAT = 1
MOST = 60 << 20
"""Bytes of a file: it fits a frame."""
_MOST_UNPACKED = 192 << 20
"""Bytes of the document."""
_LONGEST_LINE = 1000
_NAME = "runtara_instance"

_IDS = ("instance_id", "tenant_id", "workflow", "queue", "image_id", "checkpoint_id")
_EVENT_TYPES = frozenset(EventType)
_RANGES = {
    "run_epoch": (0, 2**53),
    "priority": (LOWEST_PRIORITY, HIGHEST_PRIORITY),
    "timeout_ms": (1, values.LONGEST_TIMEOUT // timedelta(milliseconds=1)),
    "memory_peak_bytes": (0, values.MAX_INTEGER),
    "cpu_usage_usec": (0, values.MAX_INTEGER),
}

T = TypeVar("T")

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FIELD = rb"%b%b:%b(?:%b|[-+.\w]++)%b" % (_STRING, _SPACE, _SPACE, _STRING, _SPACE)
_RECORD = re.compile(
    rb"\{%b(?:%b(?:,%b%b){0,40}+)?+\}" % (_SPACE, _FIELD, _SPACE, _FIELD), re.DOTALL
)
"""An object that holds no other."""
_SPACES = re.compile(_SPACE)


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """The content of a file; sha256 identifies the file."""

    copy: InstanceCopy
    sha256: str


def encode(copy: InstanceCopy) -> bytes:
    """
    Write a file.

    Raises InvalidValue for a file of more than 60 MiB (192 MiB unpacked), and for an instance that
    `decode` would refuse, such as one of more than MOST_RECORDS records.
    """
    _check(copy)
    document = {
        "instance": _plain(copy.instance),
        "checkpoints": [_plain(one) for one in copy.checkpoints],
        "events": [_plain(one) for one in copy.events],
        "signals": [_plain(one) for one in copy.signals],
    }
    text = json.dumps(document, ensure_ascii=False).encode()
    _check_size("content", len(text), _MOST_UNPACKED)
    body = zlib.compress(text)
    line = json.dumps({_NAME: FORMAT, "sha256": hashlib.sha256(body).hexdigest()})
    data = line.encode() + b"\n" + body
    _check_size("file", len(data), MOST)
    return data


def _check_size(what: str, size: int, most: int) -> None:
    if size > most:
        raise InvalidValue(
            f"instance_id: takes an instance whose {what} has at most {most} bytes, got {size}:"
            " let it end in this database"
        )


def decode(data: bytes) -> InstanceFile:
    """
    Read a file.

    Raises InvalidValue for a damaged file, another format, more than MOST_RECORDS records, which
    earlier versions have written, and for values that a database could not store or an environment
    could not run.
    """
    line, _, body = data.partition(b"\n")
    sha256 = _checked(line, body)
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(body, _MOST_UNPACKED + 1)
        if len(text) > _MOST_UNPACKED:
            raise InvalidValue(f"data: takes at most {_MOST_UNPACKED} bytes when unpacked")
        copy = _Document(text).copy()
    except (zlib.error, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidValue(f"data: its content is no instance ({error})") from error
    _check(copy)
    return InstanceFile(copy, sha256)


class _Document:
    """A document that is read from its beginning to its end, a record after another."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._place = 0
        self._records = 0

    def copy(self) -> InstanceCopy:
        """
        Return the instance; raises ValueError, KeyError or TypeError if the content is none.

        Raises InvalidValue for too many records.
        """
        self._skip(b"{")
        self._part("instance")
        copy = InstanceCopy(
            instance=_record(CopiedInstance, self._plain()),
            checkpoints=list(self._part_of("checkpoints", CopiedCheckpoint)),
            events=list(self._part_of("events", CopiedEvent)),
            signals=list(self._part_of("signals", CopiedSignal)),
        )
        self._skip(b"}")
        self._past_spaces()
        if self._place != len(self._text):
            raise ValueError(f"something follows it at byte {self._place}")
        return copy

    def _part_of(self, name: str, kind: type[T]) -> Iterator[T]:
        self._skip(b",")
        self._part(name)
        self._skip(b"[")
        if self._is_at(b"]"):
            return
        while True:
            self._records += 1
            if self._records > MOST_RECORDS:
                raise InvalidValue(
                    f"data: takes an instance of at most {MOST_RECORDS} records, and the file has"
                    " more, as a file of an earlier version may: keep the instance in the database"
                    " that exported it; an open one goes on there after `runtara resume`"
                )
            yield _record(kind, self._plain())
            if self._is_at(b"]"):
                return
            self._skip(b",")

    def _part(self, name: str) -> None:
        self._skip(b'"%b"' % name.encode())
        self._skip(b":")

    def _plain(self) -> Mapping[str, Any]:
        self._past_spaces()
        found = _RECORD.match(self._text, self._place)
        if found is None:
            raise ValueError(f"a record is missing at byte {self._place}")
        self._place = found.end()
        record: Mapping[str, Any] = json.loads(found[0])
        return record

    def _skip(self, mark: bytes) -> None:
        if not self._is_at(mark):
            raise ValueError(f"{mark.decode()} is missing at byte {self._place}")

    def _is_at(self, mark: bytes) -> bool:
        self._past_spaces()
        is_there = self._text.startswith(mark, self._place)
        self._place += len(mark) if is_there else 0
        return is_there

    def _past_spaces(self) -> None:
        found = _SPACES.match(self._text, self._place)
        self._place = found.end() if found else self._place


def _check(copy: InstanceCopy) -> None:
    for name in _IDS:
        if (text := getattr(copy.instance, name)) is not None:
            values.check_id(name, text)
    for name, (low, high) in _RANGES.items():
        if (number := getattr(copy.instance, name)) is not None:
            values.check_range(name, number, low, high)
    _check_ids("checkpoints", [one.checkpoint_id for one in copy.checkpoints])
    _check_ids("signals", [one.checkpoint_id for one in copy.signals])
    for place, kept in enumerate(copy.checkpoints):
        if kept.attempt_number is not None:
            name = f"checkpoints[{place}].attempt_number"
            values.check_range(name, kept.attempt_number, 0, values.MAX_ATTEMPT)
    for place, said in enumerate(copy.events):
        if said.event_type not in _EVENT_TYPES:
            raise InvalidValue(
                f"events[{place}].event_type: takes one of {', '.join(EventType)}, got"
                f" {said.event_type!r}"
            )
        values.check_text(f"events[{place}].checkpoint_id", said.checkpoint_id or "")
        values.check_text(f"events[{place}].subtype", said.subtype or "")


def _check_ids(part: str, ids: Sequence[str]) -> None:
    known = set[str]()
    for place, one in enumerate(ids):
        name = f"{part}[{place}].checkpoint_id"
        values.check_id(name, one)
        if one in known:
            raise InvalidValue(f"{name}: takes an id that no earlier one has, got {one!r}")
        known.add(one)


def _checked(line: bytes, body: bytes) -> str:
    """Return the checksum in the first line, if the body has it; raises InvalidValue if not."""
    try:
        stated = json.loads(line[:_LONGEST_LINE])
        number, sha256 = stated[_NAME], stated["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidValue("data: takes a file that `runtara export` has written") from None
    if number != FORMAT:
        raise InvalidValue(
            f"data: the file has format {number}, and this version reads format {FORMAT}: import it"
            " with a newer version"
        )
    if hashlib.sha256(body).hexdigest() != sha256:
        raise InvalidValue("data: the file is damaged, its checksum differs: export it again")
    return str(sha256)


def _plain(copied: Any) -> dict[str, object]:
    named = {each.name: getattr(copied, each.name) for each in fields(copied)}
    return {name: _written(value) for name, value in named.items() if value is not None}


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.value if isinstance(value, Enum) else value


def _record(kind: type[T], written: Mapping[str, Any]) -> T:
    kinds = {each.name: get_args(each.type) or (each.type,) for each in fields(kind)}  # type: ignore[arg-type]  # A dataclass.
    return kind(**{name: _read(name, value, kinds[name]) for name, value in written.items()})


def _read(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    if datetime in kinds:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(f"{name} has no time zone")
        return moment.astimezone(UTC)
    if bytes in kinds:
        return b64decode(value, validate=True)
    if issubclass(kinds[0], Enum):
        return kinds[0](value)
    if type(value) is not kinds[0]:
        raise TypeError(f"{name} takes {kinds[0].__name__}")
    if isinstance(value, str):
        values.check_storable(name, value)
    return value
