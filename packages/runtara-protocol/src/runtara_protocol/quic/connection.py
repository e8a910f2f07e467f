"""The server's side of one client's connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from aioquic.quic import events
from aioquic.quic.connection import stream_is_unidirectional

from runtara_protocol.quic.budget import MARGIN, Pool, ReceiveWindow
from runtara_protocol.quic.datapath import Datapath
from runtara_protocol.quic.delivery import Debt, Deliveries
from runtara_protocol.quic.driver import Driver
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_protocol.quic.fair_queue import Address
from runtara_protocol.quic.machine import Machine, deafen
from runtara_protocol.quic.stream import REFUSED, Stream

logger = logging.getLogger(__name__)


class ConnectionHandler(Protocol):
    """The handler of one connection's streams."""

    async def stream(self, stream: Stream) -> None:
        """
        Serve one stream. It runs in a task of its own, which goes on if the connection is lost.

        If this method returns without ending the stream, the stream is ended. An exception is
        logged and resets the stream with code 1. StreamReset and ConnectionLost are not logged,
        because the client causes them.
        """
        ...

    def closed(self) -> None:
        """Forget the connection; called once, when the connection is gone."""
        ...


class ConnectionOwner(Protocol):
    """
    The listener, as its connections see it.

    is_accepting: False once the listener waits for the end of handlers and deliveries.
    """

    is_accepting: bool
    tasks: set[asyncio.Task[None]]
    pool: Pool
    max_held_each: int
    max_undelivered_each: int
    deliveries: Deliveries

    def established(self, connection: Connection) -> ConnectionHandler | None:
        """Return the handler of the connection's streams, or None if the connection is refused."""
        ...

    def routed(self, connection: Connection, cid: bytes) -> None:
        """Route the datagrams of this connection id to the connection."""
        ...

    def unrouted(self, cid: bytes) -> None:
        """Forget this connection id."""
        ...

    def progressed(self) -> None:
        """Wake the code that waits for the end of handlers or deliveries."""
        ...

    def gone(self, connection: Connection) -> None:
        """Forget the connection."""
        ...


class Connection(Driver):
    """A connection that a client opened; its handler serves its streams."""

    def __init__(self, quic: Machine, datapath: Datapath, owner: ConnectionOwner) -> None:
        super().__init__(quic, datapath)
        self._owner = owner
        self._handler: ConnectionHandler | None = None
        self._streams: dict[int, Stream] = {}
        self._cids: set[bytes] = set()
        self.debt = Debt()
        self._last_address: Address | None = None
        self._window = ReceiveWindow(self, owner.pool, owner.max_held_each)
        # aioquic's own limit bounds nothing: see 0003-quic-on-aioquic.md.
        quic._local_max_data = self._window  # type: ignore[assignment]  # Duck-typed Limit.
        # Any: each reaction takes another type of event.
        self._reactions: dict[type[events.QuicEvent], Callable[[Any], None]] = {
            events.StreamDataReceived: self._on_data,
            events.StreamReset: self._on_reset,
            events.StopSendingReceived: self._on_stop,
            events.HandshakeCompleted: self._on_established,
            events.ConnectionIdIssued: lambda event: self.route(event.connection_id),
            events.ConnectionIdRetired: lambda event: self._unroute(event.connection_id),
        }

    @property
    def address(self) -> Address:
        """The client's present address, which may change."""
        # A connection begins with a datagram, so there is always an address.
        return cast(Address, self._last_address or self._quic.get_peer_address())

    @property
    def is_delivered(self) -> bool:
        """Return whether the client has acknowledged all data of ended and reset streams."""
        return self.is_closed or not any(
            (stream.sender._buffer_fin is not None or stream.sender._reset_error_code is not None)
            and not stream.sender.is_finished
            for stream in self._quic._streams.values()
        )

    def is_overloaded(self) -> bool:
        """Return whether the client has too much unread data to get more replies now."""
        # `debt.size` adds up replies. The exact count is made only if the sum exceeds the bound.
        most = self._owner.max_undelivered_each
        if self.debt.size > most:
            self.count_debt(self.loop.time())
        return self.debt.size > most

    def has_room(self) -> bool:
        """Return whether a large reply may be sent; a slow client may be closed for it."""
        return self._owner.deliveries.has_room(self)

    @property
    def held(self) -> int:
        """The number of bytes of this client's unhandled requests that the server holds."""
        return self._window.held

    @property
    def weight(self) -> int:
        """The number of bytes that the server holds for it: requests and unread replies."""
        return self.held + self.debt.size

    def count_debt(self, now: float) -> None:
        """Count the bytes of unacknowledged replies anew."""
        streams = self._quic._streams.values()
        self.debt.counted(sum(len(stream.sender._buffer) for stream in streams), now)

    def shed(self, *, keep: int) -> bool:
        """Refuse its youngest half-received stream if it has more than `keep` such streams."""
        waiting = [one for one in self._streams.values() if one.is_waiting and one.held]
        if len(waiting) <= keep:
            return False
        max(waiting, key=lambda stream: stream.stream_id).refuse()
        return True

    def relieve(self) -> None:
        """Give the client credit if it needs it, or refuse a half-received stream to make room."""
        window = self._window
        if self.is_closed or not window.is_low:
            return
        if window.advance():
            self._datapath.schedule(self)
        elif window.is_exhausted and not window.is_widest:
            self._owner.pool.make_room(self)
        elif window.is_exhausted and self._in_work() < MARGIN:
            self.shed(keep=1)

    def close(self, reason: str) -> None:
        """Close at once with code 0: queued data is lost. A second call does nothing."""
        self.shut(0, reason)

    def ping(self) -> None:
        """Show the client that the server lives, and keep both idle timers from running out."""
        self._quic.send_ping(0)
        self._datapath.schedule(self)

    def send(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Queue data for a stream; no effect if the connection is gone or the client stopped it."""
        if self.is_closed:
            return
        try:
            self._quic.send_stream_data(stream_id, data, end_stream=end)
        except (RuntimeError, ValueError):
            # The client may stop its receiving half: then the answer has no reader.
            return
        self.debt.size += len(data)
        self._owner.deliveries.sent(len(data))
        self._datapath.schedule(self)

    def refuse(self, stream: Stream) -> None:
        """Reset and stop a stream; no effect if the stream is finished."""
        self._stop_serving(stream)
        self.relieve()
        if self.is_closed or stream.stream_id not in self._quic._streams:
            return
        self._quic.stop_stream(stream.stream_id, REFUSED)
        self._quic.reset_stream(stream.stream_id, REFUSED)
        self._datapath.schedule(self)

    def hand_back(self, stream: Stream) -> None:
        """Count the received bytes of a stream as handled."""
        self._release(stream)
        self.relieve()

    def route(self, cid: bytes) -> None:
        """Receive this id's datagrams until the id is retired or the connection ends."""
        self._cids.add(cid)
        self._owner.routed(self, cid)

    def process(self, now: float) -> None:
        """Act on the received datagrams."""
        super().process(now)
        if not self._owner.is_accepting:
            self._owner.progressed()

    def _unroute(self, cid: bytes) -> None:
        self._cids.discard(cid)
        self._owner.unrouted(cid)

    def _on_event(self, event: events.QuicEvent) -> None:
        react = self._reactions.get(type(event))
        if react is not None:
            react(event)

    def _on_established(self, _: events.HandshakeCompleted) -> None:
        self._handler = self._owner.established(self)

    def _on_data(self, event: events.StreamDataReceived) -> None:
        stream = self._streams.get(event.stream_id) or self._open(event.stream_id)
        stream.feed(event.data, end=event.end_stream)
        if event.end_stream:
            self._received_all(stream)
        elif not stream.is_served:
            self._release(stream)
        if self._window.is_low:
            self.relieve()

    def _on_reset(self, event: events.StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            # The frame has no data, but its length counts.
            stream = self._new(event.stream_id)
            stream.is_served = False
        deafen(stream.receiver)
        stream.fail(StreamReset(event.error_code))
        self._received_all(stream)

    def _on_stop(self, event: events.StopSendingReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.drop()

    def _open(self, stream_id: int) -> Stream:
        stream = self._new(stream_id)
        if self._handler is None or stream_is_unidirectional(stream_id):
            self._stop_serving(stream)
            return stream
        self._begun += 1
        task = self.loop.create_task(self._handler.stream(stream))
        self._owner.tasks.add(task)
        task.add_done_callback(lambda task: self._served(stream, task))
        return stream

    def _new(self, stream_id: int) -> Stream:
        stream = self._streams[stream_id] = Stream(self, stream_id, self._quic._streams[stream_id])
        return stream

    def _served(self, stream: Stream, task: asyncio.Task[None]) -> None:
        self._owner.tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if task.cancelled() or failure is not None:
            stream.refuse()
        elif not stream.is_ended:
            stream.send(b"")
        if failure is not None and not isinstance(failure, StreamReset | ConnectionLost):
            logger.error("handler of a stream failed", exc_info=failure)
        self._stop_serving(stream)
        stream.forget()
        if stream.is_received:
            self._streams.pop(stream.stream_id, None)
        self.relieve()

    def _stop_serving(self, stream: Stream) -> None:
        """Drop all bytes of a stream, received or later: no handler will read them."""
        stream.is_served = False
        if not stream.is_received:
            deafen(stream.receiver)
        self._release(stream)

    def _received_all(self, stream: Stream) -> None:
        stream.is_received = True
        if not stream.is_served:
            self._release(stream)
            del self._streams[stream.stream_id]

    def _release(self, stream: Stream) -> None:
        if self.is_closed:
            return
        # Bytes that came out of order are still in aioquic's state.
        start = stream.receiver.starting_offset()
        self._window.release(start - stream.released)
        stream.released = start

    def _in_work(self) -> int:
        """Return how many bytes will be released when running handlers end."""
        streams = self._streams.values()
        return sum(one.held for one in streams if one.is_served and not one.is_waiting)

    def _on_closed(self, reason: str) -> None:
        self._last_address = self._quic.get_peer_address()
        for cid in self._cids:
            self._owner.unrouted(cid)
        for stream in self._streams.values():
            stream.fail(ConnectionLost(reason))
        self._streams.clear()
        self._reactions.clear()
        self._window.abandon()
        self._owner.gone(self)
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.closed()
