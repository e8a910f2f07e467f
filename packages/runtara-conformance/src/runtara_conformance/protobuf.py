"""
The protobuf wire format: a message is a sequence of pairs (field number, value).

A value is an `int` (a varint), `bytes` (length-delimited: strings, bytes and nested messages look
alike) or `Fixed` (four or eight raw bytes). This module does not know the meaning of fields.
"""

from collections.abc import Iterable
from dataclasses import dataclass

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
WORD = 1 << 64
MAX_FIELD_NUMBER = (1 << 29) - 1


@dataclass(frozen=True, slots=True)
class Fixed:
    """Four or eight bytes, little-endian, of a fixed32, fixed64, float or double."""

    raw: bytes


Value = int | bytes | Fixed
Field = tuple[int, Value]


class NotProtobufError(ValueError):
    """The bytes are no protobuf message."""


def encode(fields: Iterable[Field]) -> bytes:
    """Write the fields in the order given; `decode` gives the same ones back."""
    return b"".join(_encode_field(number, value) for number, value in fields)


def decode(data: bytes) -> list[Field]:
    """Read every field, known or not, in the order they came; raise `NotProtobufError`."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _decode_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= MAX_FIELD_NUMBER:
            raise NotProtobufError(f"field number {number} at byte {at}")
        value, at = _decode_value(data, at, wire_type)
        fields.append((number, value))
    return fields


def signed(value: int) -> int:
    """Read a varint as int32, int64 or an enum, whose negative numbers fill all 64 bits."""
    return value - WORD if value >= WORD // 2 else value


def _encode_field(number: int, value: Value) -> bytes:
    match value:
        case int():
            return _encode_varint(number << 3 | VARINT) + _encode_varint(value % WORD)
        case bytes():
            return _encode_varint(number << 3 | LENGTH) + _encode_varint(len(value)) + value
        case Fixed(raw):
            wire_type = FIXED32 if len(raw) == 4 else FIXED64
            return _encode_varint(number << 3 | wire_type) + raw


def _decode_value(data: bytes, at: int, wire_type: int) -> tuple[Value, int]:
    match wire_type:
        case 0:
            return _decode_varint(data, at)
        case 2:
            length, at = _decode_varint(data, at)
            return _take(data, at, length), at + length
        case 1 | 5:
            length = 8 if wire_type == FIXED64 else 4
            return Fixed(_take(data, at, length)), at + length
        case _:
            raise NotProtobufError(f"wire type {wire_type} at byte {at}")


def _take(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise NotProtobufError(f"{length} bytes announced at byte {at}, {len(data) - at} are there")
    return data[at : at + length]


def _encode_varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _decode_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % WORD, at
    raise NotProtobufError(f"a varint without an end at byte {at}")
