"""The driver of one aioquic connection, client or server: datagrams, timer and events."""

import asyncio
from abc import abstractmethod
from time import monotonic

from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, QuicEvent
from aioquic.tls import Epoch

from runtara_protocol.quic.datapath import Datapath, Endpoint
from runtara_protocol.quic.fair_queue import Address

# Long enough that most answers carry the acknowledgement of their request. We announce 25 ms.
ACK_DELAY = 0.020
# A burst is acknowledged sooner, because its sender may wait for the acknowledgement: the smallest
# congestion window is two datagrams.
BURST = 2048
BURST_ACK_DELAY = 0.004
ACK_EVERY = 10
# A client may open a thousand streams at once. If all their tasks began in one iteration, all other
# connections would wait until each of these tasks has run up to its first pause.
BEGUN_AT_ONCE = 64


class Driver(Endpoint):
    """
    One connection's sans-I/O machine, and the code that gives it datagrams and time.

    See docs/decisions/0003-quic-on-aioquic.md for the private attributes read here.
    """

    def __init__(self, quic: QuicConnection, datapath: Datapath) -> None:
        super().__init__()
        self.is_closed = False
        self.loop = asyncio.get_running_loop()
        self._quic = quic
        self._datapath = datapath
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._unanswered = 0
        self._unanswered_bytes = 0
        # Tasks begun in this iteration of the loop.
        self._begun = 0
        # When the last datagram came, by the loop's clock.
        self.heard_at = self.loop.time()
        quic._ack_delay = ACK_DELAY
        # The peer should always be able to open at least so many streams.
        self._spare_streams = quic._local_max_streams_bidi.value // 2

    @abstractmethod
    def _on_event(self, event: QuicEvent) -> None:
        """Act on one event. The end of the connection comes by `_on_closed` instead."""

    @abstractmethod
    def _on_closed(self, reason: str) -> None:
        """Release everything. Called once: a side closed, or the peer was silent too long."""

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram; `process` must follow in the same iteration."""
        self.heard_at = now
        self._unanswered += 1
        self._unanswered_bytes += len(data)
        # The peer broke a rule: the rest of its datagrams is dropped.
        if self._quic._close_pending:
            return
        self._quic.receive_datagram(data, address, now)

    def process(self, now: float) -> None:
        """Act on received datagrams. Send now only data that can't wait for the delayed ACK."""
        self._begun = 0
        if not self.is_closed:
            self._drain_events()
        if self.is_closed:
            return
        if self._unanswered >= ACK_EVERY or self._is_sending_due():
            self._datapath.schedule(self)
            return
        if self._unanswered_bytes >= BURST:
            self._acknowledge_by(now + BURST_ACK_DELAY)
        self._arm(now)

    def transmit(self, now: float) -> None:
        """Send the queued data, and with it any acknowledgement that is owed."""
        if self.is_closed:
            return
        self.is_scheduled = False
        self._unanswered = self._unanswered_bytes = 0
        # An acknowledgement that is owed goes out with this data. As overdue, it isn't paced.
        self._acknowledge_by(now - 0.001)
        for data, address in self._quic.datagrams_to_send(now):
            self._datapath.send(data, address)
        self._drain_events()
        if self._quic._pacing_at is not None and not self._is_sending_due():
            # The machine paces the packet after the last one even if that packet would be empty.
            self._quic._pacing_at = None
        self._arm(now)

    def crash(self) -> None:
        """End the connection without a word: after the error its machine can't be used any more."""
        self.drop("an internal error")

    def drop(self, reason: str) -> None:
        """End the connection without telling the peer; a second call does nothing."""
        self._end(reason)

    def shut(self, code: int, reason: str) -> None:
        """Close the connection and tell the peer; a second call does nothing."""
        if self.is_closed:
            return
        self._quic.close(error_code=code, reason_phrase=reason)
        for data, address in self._quic.datagrams_to_send(monotonic()):
            self._datapath.send(data, address)
        self._end(reason)

    def _is_sending_due(self) -> bool:
        """
        Return whether anything besides a delayed acknowledgement waits to be sent.

        This question is much cheaper than trying to build a packet and finding nothing to send.
        """
        quic = self._quic
        if not quic._handshake_confirmed or quic._handshake_done_pending or quic._close_pending:
            return True
        # Only an attempt to send discards finished streams and allows new ones.
        streams = quic._local_max_streams_bidi
        are_short = streams.sent - streams.used <= self._spare_streams
        return any(
            not stream.sender.buffer_is_empty
            or stream.sender.reset_pending
            or stream.receiver.stop_pending
            or (are_short and stream.is_finished)
            for stream in quic._streams_queue
        )

    def _acknowledge_by(self, at: float) -> None:
        """Make an acknowledgement that is owed due at this moment at the latest."""
        space = self._quic._spaces.get(Epoch.ONE_RTT)
        if space is not None and space.ack_at is not None and space.ack_at > at:
            space.ack_at = at

    def _drain_events(self) -> None:
        # Not `next_event`, which raises and catches an error if there is none.
        events = self._quic._events
        while events and self._begun < BEGUN_AT_ONCE:
            event = events.popleft()
            if isinstance(event, ConnectionTerminated):
                break
            self._on_event(event)
        if self._begun >= BEGUN_AT_ONCE:
            # Also if the connection has ended: what the client asked for before its end is done.
            self._datapath.resume(self)
            return
        # The machine reports its end only after three timeouts, in which it neither receives nor
        # sends anything. So the driver reads the end before that.
        ended = self._quic._close_event
        if ended is not None and not self._quic._close_pending:
            self._end(ended.reason_phrase or f"closed with code {ended.error_code}")

    def _arm(self, now: float) -> None:
        """Set the timer anew if it would fire too late; `_fire` re-arms an early timer."""
        if self.is_closed or self._fires_soon_enough(now):
            return
        at = self._quic.get_timer()
        if at is not None and (self._timer is None or self._timer_at > at):
            self._set_timer(at)

    def _fires_soon_enough(self, now: float) -> bool:
        """
        Return whether the timer is known to need no change.

        This question is much cheaper than the machine's `get_timer`. A probe may be as late as an
        acknowledgement. Acknowledgements, paced packets and the detection of losses are not late.
        """
        quic = self._quic
        if self._timer is None or self._timer_at > now + ACK_DELAY or not quic._handshake_confirmed:
            return False
        space = quic._loss.spaces[-1]
        return (
            quic._pacing_at is None
            and space.loss_time is None
            and (space.ack_at is None or space.ack_at >= self._timer_at)
        )

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._fire)
        self._timer_at = at

    def _fire(self) -> None:
        self._timer = None
        now = monotonic()
        at = self._quic.get_timer()
        if at is None:
            return
        # uvloop's clock counts milliseconds: a timer may fire up to one millisecond early.
        if at > now + 0.001:
            self._set_timer(at)
            return
        now = max(now, at)
        try:
            self._quic.handle_timer(now)
            self._drain_events()
            self.transmit(now)
        except Exception:
            self._datapath.crashed(self)

    def _end(self, reason: str) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._datapath.forget(self)
        self._on_closed(reason)
        # After this iteration: the machine may be running now.
        self.loop.call_soon(_take_apart, self._quic)


def _take_apart(quic: QuicConnection) -> None:
    """
    Cut the reference cycles in a machine.

    Without cycles Python frees the machine, and all that it holds, at once. With cycles the garbage
    collector would free it, perhaps after ten thousand more objects, or a hundred times as many.
    """
    for space in quic._spaces.values():
        space.sent_packets.clear()
    vars(quic).clear()
