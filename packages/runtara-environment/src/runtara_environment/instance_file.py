"""
The file of an exported instance: a line of JSON, then the instance as compressed JSON.

The line has the format's number and the SHA-256 of what follows it. In the document, moments are
ISO 8601, bytes are base64, and names are those of the records of `instance_copies`.
"""

import hashlib
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, get_args

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.instance_copies import (
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
)

FORMAT = 1
MOST = 60 << 20
"""Bytes of a file: it fits a frame."""
_MOST_UNPACKED = 1 << 30
_LONGEST_LINE = 1000
_NAME = "runtara_instance"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """What a file holds; sha256: what tells it from others."""

    copy: InstanceCopy
    sha256: str


def encode(copy: InstanceCopy) -> bytes:
    """Write a file; raises InvalidValue for one of more than 60 MiB."""
    document = {
        "instance": _plain(copy.instance),
        "checkpoints": [_plain(one) for one in copy.checkpoints],
        "events": [_plain(one) for one in copy.events],
        "signals": [_plain(one) for one in copy.signals],
    }
    body = zlib.compress(json.dumps(document, ensure_ascii=False).encode())
    line = json.dumps({_NAME: FORMAT, "sha256": hashlib.sha256(body).hexdigest()})
    data = line.encode() + b"\n" + body
    if len(data) > MOST:
        raise InvalidValue(
            f"instance_id: takes an instance whose file has at most {MOST} bytes, got {len(data)}"
        )
    return data


def decode(data: bytes) -> InstanceFile:
    """Read a file; raises InvalidValue for one that is damaged, newer, or none."""
    line, _, body = data.partition(b"\n")
    sha256 = _checked(line, body)
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(body, _MOST_UNPACKED)
        if unpacking.unconsumed_tail:
            raise InvalidValue(f"data: takes at most {_MOST_UNPACKED} bytes when unpacked")
        document = json.loads(text)
        copy = InstanceCopy(
            instance=_record(CopiedInstance, document["instance"]),
            checkpoints=[_record(CopiedCheckpoint, one) for one in document["checkpoints"]],
            events=[_record(CopiedEvent, one) for one in document["events"]],
            signals=[_record(CopiedSignal, one) for one in document["signals"]],
        )
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidValue(f"data: its content is no instance ({error})") from error
    for name in ("instance_id", "tenant_id"):
        values.check_id(name, getattr(copy.instance, name))
    return InstanceFile(copy, sha256)


def _checked(line: bytes, body: bytes) -> str:
    """Give the checksum that the line states, if the body has it."""
    try:
        stated = json.loads(line[:_LONGEST_LINE])
        number, sha256 = stated[_NAME], stated["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidValue("data: takes a file that `runtara export` has written") from None
    if number != FORMAT:
        raise InvalidValue(
            f"data: the file has format {number}, and format {FORMAT} can be read here: update"
            " what imports it"
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
        return moment
    if bytes in kinds:
        return b64decode(value, validate=True)
    if issubclass(kinds[0], Enum):
        return kinds[0](value)
    if type(value) is not kinds[0]:
        raise TypeError(f"{name} takes {kinds[0].__name__}")
    if isinstance(value, str):
        values.check_storable(name, value)
    return value
