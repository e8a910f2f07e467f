"""Encodes and decodes frames (a length, a type, a payload), without I/O."""

from enum import IntEnum
from struct import Struct

MAX_PAYLOAD = 64 * 1024 * 1024
PIECE = 4096
"""Received pieces of a frame are joined into chunks of about this many bytes."""
_HEADER = Struct("!IH")
HEADER_SIZE = _HEADER.size


class MessageType(IntEnum):
    """The kind of a frame's payload; 3 to 6 are reserved."""

    REQUEST = 1
    RESPONSE = 2
    STREAM_START = 3
    STREAM_DATA = 4
    STREAM_END = 5
    ERROR = 6


class FrameError(ValueError):
    """The bytes are no accepted frame; their stream can't be used any more."""


def encode(message_type: MessageType, payload: bytes) -> bytes:
    """Return the frame; raise FrameError if the payload is over MAX_PAYLOAD."""
    if len(payload) > MAX_PAYLOAD:
        raise FrameError(f"a frame's payload takes at most {MAX_PAYLOAD} bytes, got {len(payload)}")
    return _HEADER.pack(len(payload), message_type) + payload


class FrameDecoder:
    """
    Reads the one frame of a stream, in whatever pieces it arrives.

    A length or type that is not accepted is refused after the six bytes of the header, before any
    of the payload is kept. keeps_rest: whether bytes that follow the frame in its last piece are
    kept.
    """

    __slots__ = ("_accept", "_chunks", "_end", "_keeps_rest", "_rest", "_size", "is_complete")

    def __init__(self, accept: frozenset[MessageType], *, keeps_rest: bool = False) -> None:
        self._accept = accept
        self._keeps_rest = keeps_rest
        self._rest = b""
        self._chunks: list[bytes] = []
        self._size = 0
        self._end: int | None = None
        self.is_complete = False

    def feed(self, data: bytes) -> bytes | None:
        """Return the payload in the call that completes it, else None; later pieces are ignored."""
        if self.is_complete:
            return None
        if self._end is None:
            data = b"".join((*self._chunks, data))
            self._chunks.clear()
            self._size = 0
            self._end = self._read_header(data)
        self._size += len(data)
        if self._end is None or self._size < self._end:
            self._keep(data)
            return None
        self.is_complete = True
        if self._keeps_rest and self._size > self._end:
            self._rest = data[self._end - self._size :]
        return self._payload(data, self._end)

    def take_rest(self) -> bytes:
        """Return the bytes that came in one piece with the frame's end; b"" at the second call."""
        rest, self._rest = self._rest, b""
        return rest

    def end(self) -> None:
        """Raise FrameError unless the stream's frame was complete."""
        if not self.is_complete:
            raise FrameError(f"the stream ended inside a frame, after {self._size} bytes")

    def _keep(self, data: bytes) -> None:
        # A piece of two bytes takes fifty bytes of memory.
        if self._chunks and len(self._chunks[-1]) + len(data) <= PIECE:
            self._chunks[-1] += data
        else:
            self._chunks.append(data)

    def _read_header(self, data: bytes) -> int | None:
        """Return where the frame ends; None while the header isn't complete."""
        if len(data) < HEADER_SIZE:
            return None
        length: int
        length, message_type = _HEADER.unpack_from(data)
        if message_type not in self._accept:
            accepted = ", ".join(f"{kind.value} ({kind.name})" for kind in sorted(self._accept))
            raise FrameError(f"a frame's type takes {accepted}, got {message_type}")
        if length > MAX_PAYLOAD:
            raise FrameError(f"a frame's payload takes at most {MAX_PAYLOAD} bytes, got {length}")
        return HEADER_SIZE + length

    def _payload(self, last: bytes, end: int) -> bytes:
        if not self._chunks:
            return last[HEADER_SIZE:end]
        # The views leave out the header and the bytes after the frame, without a copy.
        first, *middle = (memoryview(chunk) for chunk in (*self._chunks, last))
        pieces = [first[HEADER_SIZE:], *middle]
        excess = self._size - end
        pieces[-1] = pieces[-1][: len(pieces[-1]) - excess]
        self._chunks.clear()
        return b"".join(pieces)
