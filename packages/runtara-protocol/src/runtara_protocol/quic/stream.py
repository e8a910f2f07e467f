"""The server's half of one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from runtara_protocol.quic.error import ConnectionLost, StreamReset

if TYPE_CHECKING:
    from aioquic.quic.stream import QuicStream

REFUSED = 1


class StreamOwner(Protocol):
    """The connection, as its streams see it."""

    loop: asyncio.AbstractEventLoop

    def send(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Queue data for a stream; no effect if the connection is gone or the client stopped it."""
        ...

    def hand_back(self, stream: Stream) -> None:
        """Count the received bytes of a stream as handled."""
        ...

    def refuse(self, stream: Stream) -> None:
        """Reset and stop a stream; no effect if the stream is finished."""
        ...


class Stream:
    """
    One stream that a client opened: `receive` gives the client's data, `send` sends data to it.

    One task at a time may use a stream.
    """

    __slots__ = (
        "_chunks",
        "_failure",
        "_has_end",
        "_is_unread",
        "_on_stop_sending",
        "_owner",
        "_waiter",
        "is_ended",
        "is_received",
        "is_served",
        "receiver",
        "released",
        "stream_id",
    )

    def __init__(self, owner: StreamOwner, stream_id: int, quic: QuicStream) -> None:
        self._owner = owner
        self.stream_id = stream_id
        self.receiver = quic.receiver
        self.released = 0
        self.is_served = True
        self.is_received = False
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._failure: StreamReset | ConnectionLost | None = None
        self._has_end = False
        self.is_ended = False  # Whether this side sends nothing more.
        # A client that wants no answer may stop this side before it sends its request.
        self._is_unread = quic.sender._reset_error_code is not None
        self._on_stop_sending: Callable[[], None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether its handler waits for more from the client."""
        return self._waiter is not None

    @property
    def is_ready(self) -> bool:
        """Return whether `receive` returns or raises at once."""
        return bool(self._chunks) or self._has_end or self._failure is not None

    @property
    def held(self) -> int:
        """The number of its bytes that count against the connection's allowance, with gaps."""
        return self.receiver.highest_offset - self.released

    async def receive(self) -> bytes:
        """
        Return the next piece of data, or b"" once the client has ended its side.

        Raises StreamReset if the client or `refuse` gave the stream up, and ConnectionLost if the
        connection was lost before the end. Pieces that had arrived before are returned first.
        """
        if not self.is_ready:
            self._waiter = self._owner.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._chunks:
            return self._take()
        if self._has_end:
            return b""
        assert self._failure is not None
        raise self._failure

    def send(self, data: bytes, *, end: bool = True) -> None:
        """Queue data, and by default end this side; no effect if the client stopped this side."""
        if not self.is_ended:
            self.is_ended = end
            self._owner.send(self.stream_id, data, end=end)

    def hand_back(self) -> None:
        """Count the received bytes as handled, so that the client may send as many again."""
        self._owner.hand_back(self)

    def leave_open(self) -> None:
        """Send no answer and no end: the client sees an end only when the connection ends."""
        self.is_ended = True

    @contextmanager
    def on_stop_sending(self, call: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `call` once the client stops its receiving half, or if it has."""
        self._on_stop_sending = call
        try:
            if self._is_unread:
                call()
            yield
        finally:
            self._on_stop_sending = None

    def drop(self) -> None:
        """Note that the client stopped its receiving half."""
        self._is_unread = True
        if self._on_stop_sending is not None:
            self._on_stop_sending()

    def refuse(self) -> None:
        """Reset both directions with code 1, so that the client sees no clean end."""
        self.is_ended = True
        self._has_end = False
        self._chunks.clear()
        self.fail(StreamReset(REFUSED))
        self._owner.refuse(self)

    def feed(self, data: bytes, *, end: bool) -> None:
        """Add data that the client sent; drop it if no handler will read it."""
        if self.is_served and self._failure is None:
            if data:
                self._chunks.append(data)
            self._has_end = self._has_end or end
            self._wake()

    def fail(self, failure: StreamReset | ConnectionLost) -> None:
        """Let `receive` raise after it has returned all earlier data; the first failure stays."""
        if self._failure is None and not self._has_end:
            self._failure = failure
            self._wake()

    def forget(self) -> None:
        """Drop the failure: a raised error refers to the stream, which makes a reference cycle."""
        self._failure = None

    def _take(self) -> bytes:
        chunks = self._chunks
        if len(chunks) == 1:
            return chunks.pop()
        self._chunks = []
        return b"".join(chunks)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
