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
    """The connection, as its streams know it."""

    loop: asyncio.AbstractEventLoop

    def send(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Queue data for a stream; nothing if the connection is gone or the client stopped it."""
        ...

    def hand_back(self, stream: Stream) -> None:
        """Count the received bytes of a stream as handled."""
        ...

    def refuse(self, stream: Stream) -> None:
        """Reset and stop a stream; nothing if it is finished."""
        ...


class Stream:
    """
    One stream a client opened: what it sends is received, what is sent reaches it in order.

    One task at a time may use it.
    """

    __slots__ = (
        "_chunks",
        "_failure",
        "_has_end",
        "_is_ended",
        "_is_unread",
        "_on_stop_sending",
        "_owner",
        "_waiter",
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
        self._is_ended = False
        # A client that wants no answer may say so before it asks.
        self._is_unread = quic.sender._reset_error_code is not None
        self._on_stop_sending: Callable[[], None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether its handler waits for more from the client."""
        return self._waiter is not None

    @property
    def is_ready(self) -> bool:
        """Return whether `receive` has something to say at once."""
        return bool(self._chunks) or self._has_end or self._failure is not None

    @property
    def held(self) -> int:
        """How many of its bytes count against the connection's allowance, gaps included."""
        return self.receiver.highest_offset - self.released

    async def receive(self) -> bytes:
        """
        Return the next piece, or b"" once the client has ended its side.

        Raises StreamReset if the client or `refuse` gave the stream up, ConnectionLost if the
        connection went first; not for pieces that had arrived before.
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
        """Queue it, and by default end this side; of no effect if the peer doesn't want it."""
        if not self._is_ended:
            self._is_ended = end
            self._owner.send(self.stream_id, data, end=end)

    def hand_back(self) -> None:
        """Let the client send as much again: what it has sent so far is not held any more."""
        self._owner.hand_back(self)

    def leave_open(self) -> None:
        """Give no answer, and no end: the client sees none but that of its connection."""
        self._is_ended = True

    @contextmanager
    def on_stop_sending(self, call: Callable[[], None]) -> Iterator[None]:
        """Call `call` when, within the block, the client drops its receiving half, or has."""
        self._on_stop_sending = call
        try:
            if self._is_unread:
                call()
            yield
        finally:
            self._on_stop_sending = None

    def drop(self) -> None:
        """Take in that the client doesn't want what is sent."""
        self._is_unread = True
        if self._on_stop_sending is not None:
            self._on_stop_sending()

    def refuse(self) -> None:
        """Give both directions up with code 1, so that the client sees no clean end."""
        self._is_ended = True
        self._has_end = False
        self._chunks.clear()
        self.fail(StreamReset(REFUSED))
        self._owner.refuse(self)

    def feed(self, data: bytes, *, end: bool) -> None:
        """Take in what the client sent; dropped once it would not be read."""
        if self.is_served and self._failure is None:
            if data:
                self._chunks.append(data)
            self._has_end = self._has_end or end
            self._wake()

    def fail(self, failure: StreamReset | ConnectionLost) -> None:
        """Let `receive` raise once it has returned what came before; the first failure stays."""
        if self._failure is None and not self._has_end:
            self._failure = failure
            self._wake()

    def forget(self) -> None:
        """Let go of why it failed: an error that was raised here refers to the stream in turn."""
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
