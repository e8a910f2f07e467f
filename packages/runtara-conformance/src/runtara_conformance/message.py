"""How a dataclass is a protobuf message: each of its fields carries its number and its type."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from runtara_conformance import protobuf
from runtara_conformance.protobuf import Field, NotProtobufError, Value

KEY = "protobuf"


@dataclass(frozen=True, slots=True)
class Kind:
    """One field's number, and the way between its Python value and the wire's."""

    number: int
    write: Callable[[Any], Value]
    read: Callable[[Value], Any]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message by name; the fields it doesn't know are kept in `unknown` and written back."""

    unknown: tuple[Field, ...] = field(default=(), kw_only=True)

    def encode(self) -> bytes:
        """Write the fields without default values, by number, and then the unknown fields."""
        return protobuf.encode([*self._present(), *self.unknown])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a message; a field that came twice counts as its last; raise `NotProtobufError`."""
        kinds = {kind.number: (name, kind) for name, kind, _ in _kinds(cls)}
        known: dict[str, Any] = {}
        unknown: list[Field] = []
        for number, value in protobuf.decode(data):
            if number not in kinds:
                unknown.append((number, value))
                continue
            name, kind = kinds[number]
            one = kind.read(value)
            known[name] = (*known.get(name, ()), one) if kind.repeated else one
        return cls(**known, unknown=tuple(unknown))

    def _present(self) -> Iterator[Field]:
        for name, kind, default in _kinds(type(self)):
            value = getattr(self, name)
            if value != default:
                for one in value if kind.repeated else [value]:
                    yield kind.number, kind.write(one)


M = TypeVar("M", bound=Message)


def text(number: int) -> str:
    """Declare a string, left out when it is empty."""
    return field(default="", metadata={KEY: Kind(number, _utf8, _text)})


def opt_text(number: int) -> str | None:
    """Declare an optional string: None is absent, "" is present and empty."""
    return field(default=None, metadata={KEY: Kind(number, _utf8, _text)})


def repeated_text(number: int) -> tuple[str, ...]:
    """Declare any number of strings, in order."""
    return field(default=(), metadata={KEY: Kind(number, _utf8, _text, repeated=True)})


def binary(number: int) -> bytes:
    """Declare bytes, left out when they are empty."""
    return field(default=b"", metadata={KEY: Kind(number, bytes, _bytes)})


def opt_binary(number: int) -> bytes | None:
    """Declare optional bytes: None is absent, b"" is present and empty."""
    return field(default=None, metadata={KEY: Kind(number, bytes, _bytes)})


def integer(number: int) -> int:
    """Declare a number or an enum, left out when it is 0; an enum takes any number."""
    return field(default=0, metadata={KEY: Kind(number, int, _int)})


def opt_integer(number: int) -> int | None:
    """Declare an optional number: None is absent, 0 is present."""
    return field(default=None, metadata={KEY: Kind(number, int, _int)})


def unsigned(number: int) -> int:
    """Declare a uint32 or uint64, left out when it is 0."""
    return field(default=0, metadata={KEY: Kind(number, int, _unsigned)})


def opt_unsigned(number: int) -> int | None:
    """Declare an optional uint32 or uint64: None is absent, 0 is present."""
    return field(default=None, metadata={KEY: Kind(number, int, _unsigned)})


def boolean(number: int) -> bool:
    """Declare a boolean, left out when it is False."""
    return field(default=False, metadata={KEY: Kind(number, int, _bool)})


def opt_message(number: int, of: type[M]) -> M | None:
    """Declare a nested message: None is absent, an empty one is present."""
    return field(default=None, metadata={KEY: Kind(number, _nested, _reader(of))})


def repeated_message(number: int, of: type[M]) -> tuple[M, ...]:
    """Declare any number of nested messages, in order."""
    return field(default=(), metadata={KEY: Kind(number, _nested, _reader(of), repeated=True)})


def _kinds(message: type[Message]) -> Iterator[tuple[str, Kind, object]]:
    for each in fields(message):
        if KEY in each.metadata:
            yield each.name, each.metadata[KEY], each.default


def _utf8(value: str) -> bytes:
    return value.encode("utf-8")


def _text(value: Value) -> str:
    return _bytes(value).decode("utf-8")


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise NotProtobufError(f"{value!r} where a length-delimited value belongs")
    return value


def _unsigned(value: Value) -> int:
    if not isinstance(value, int):
        raise NotProtobufError(f"{value!r} where a varint belongs")
    return value


def _int(value: Value) -> int:
    return protobuf.signed(_unsigned(value))


def _bool(value: Value) -> bool:
    return _unsigned(value) != 0


def _nested(value: Message) -> bytes:
    return value.encode()


def _reader(of: type[M]) -> Callable[[Value], M]:
    return lambda value: of.decode(_bytes(value))
