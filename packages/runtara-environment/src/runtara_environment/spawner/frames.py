"""Messages on a stream socket: a length of four bytes, then that many bytes of a JSON object."""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

MAX_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct("!I")


class MalformedMessage(Exception):
    """The peer sent bytes that are no message; its connection must end."""


def encode(message: Message) -> bytes:
    """Return the bytes of a message; raise ValueError if it is larger than MAX_BYTES."""
    content = json.dumps(message).encode()
    if len(content) > MAX_BYTES:
        raise ValueError(f"a message takes at most {MAX_BYTES} bytes, got {len(content)} bytes")
    return _LENGTH.pack(len(content)) + content


class Decoder:
    """Turns bytes, as they arrive in pieces of any size, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each complete message; raise MalformedMessage if the bytes are no message."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_BYTES:
                raise MalformedMessage(f"a message takes at most {MAX_BYTES} bytes, got {length}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield _parsed(content)


def _parsed(content: bytes) -> Message:
    try:
        message = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"a message takes JSON: {error}") from error
    if not isinstance(message, dict):
        raise MalformedMessage(f"a message takes a JSON object, got {type(message).__name__}")
    return message


class Client:
    """One environment's connection, as the spawner has it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = Decoder()
        self.outgoing = bytearray()
