"""The frame around a message: 4 bytes of length, 2 of type, big-endian, then the payload."""

import struct
from enum import IntEnum

HEADER = struct.Struct(">IH")
MAX_PAYLOAD = 64 * 1024 * 1024


class FrameType(IntEnum):
    """The type of a frame; any other number may be sent too, to check that it is refused."""

    REQUEST = 1
    RESPONSE = 2
    STREAM_START = 3
    STREAM_DATA = 4
    STREAM_END = 5
    ERROR = 6


class NotAFrameError(ValueError):
    """The bytes are not exactly one response frame."""


def encode(payload: bytes, frame_type: int = FrameType.REQUEST) -> bytes:
    """Put the payload in a frame; nothing is checked, so that a wrong one can be written."""
    return HEADER.pack(len(payload), frame_type) + payload


def is_complete(data: bytes | bytearray) -> bool:
    """Whether the first frame of `data` is there as a whole."""
    return len(data) >= HEADER.size and len(data) >= HEADER.size + HEADER.unpack_from(data)[0]


def decode_response(data: bytes) -> bytes:
    """Take the payload of the one response frame that `data` must be, no byte more or less."""
    if len(data) < HEADER.size:
        raise NotAFrameError(f"{len(data)} bytes are less than a frame's header: {data.hex()}")
    length, frame_type = HEADER.unpack_from(data)
    if frame_type != FrameType.RESPONSE:
        raise NotAFrameError(f"frame type {frame_type}, a response is {FrameType.RESPONSE:d}")
    if length != len(data) - HEADER.size:
        raise NotAFrameError(f"{length} bytes announced, {len(data) - HEADER.size} came")
    return data[HEADER.size :]
