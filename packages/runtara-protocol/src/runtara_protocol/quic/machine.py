"""
aioquic's machine of one connection, with bounds on the work that a client can cause.

Without bounds, receiving a frame of a few bytes may cost a thousand times as much as sending it.
docs/decisions/0020-what-a-peer-may-cost.md has the bounds, and aioquic's private names used here.
"""

from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any, TypeAlias, cast

from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # Public, but not marked so.
from aioquic.quic.connection import (
    NetworkAddress,
    QuicConnection,
    QuicConnectionError,
    QuicReceiveContext,
)
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicStreamFrame
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStream, QuicStreamReceiver
from aioquic.tls import Epoch, Group

from runtara_protocol.quic.datapath import LARGEST_DATAGRAM
from runtara_protocol.quic.resets import TOKEN, token_in

# The most pieces of data that wait for earlier data, in all streams of a connection. A client may
# be 512 KiB ahead. These are 437 full datagrams. Losing or swapping every other one makes half as
# many pieces.
MOST_GAPS = 512
# A ClientHello has a few hundred bytes. With post-quantum keys it has two thousand.
MOST_CRYPTO = 16 * 1024
MOST_CRYPTO_GAPS = 32
# A client that gives up 290 streams at once fills a packet with 290 frames.
MOST_FRAMES = 512
# A frame that makes more work counts for so many frames of one or two bytes.
WEIGHTS: Mapping[int, int] = {
    QuicFrameType.ACK: 64,
    QuicFrameType.ACK_ECN: 64,
    QuicFrameType.CRYPTO: 8,
    QuicFrameType.NEW_CONNECTION_ID: 16,
    QuicFrameType.RETIRE_CONNECTION_ID: 32,
    QuicFrameType.PATH_CHALLENGE: 16,
    QuicFrameType.PATH_RESPONSE: 16,
}
STREAM_FRAMES = range(QuicFrameType.STREAM_BASE, QuicFrameType.STREAM_BASE + 8)
# The transport parameter max_udp_payload_size, which aioquic doesn't announce.
LARGEST_ANNOUNCED = b"\x03\x02" + (0x4000 | LARGEST_DATAGRAM).to_bytes(2, "big")

FORGOTTEN = "the server does not know the connection: it was started again, or has closed it"

_GROUPS = frozenset({Group.SECP256R1, Group.X25519})

# aioquic makes this name private even for a subclass.
HANDLERS = "_QuicConnection__frame_handlers"

FrameHandler: TypeAlias = Callable[[QuicReceiveContext, int, Buffer], None]
FrameHandlers: TypeAlias = dict[int, tuple[FrameHandler, frozenset[Epoch]]]


class Machine(QuicConnection):
    """A server's connection. A client that exceeds a bound loses its own connection only."""

    def __init__(self, reset_token: Callable[[bytes], bytes], **named: Any) -> None:
        super().__init__(**named)
        self._reset_token = reset_token
        self._give_reset_tokens()
        self._streams = _Streams()
        vars(self)[HANDLERS] = _Frames(vars(self)[HANDLERS]).bounded()

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        for stream in self._crypto_streams.values():
            stream.receiver = _CryptoReceiver()

    def _replenish_connection_ids(self) -> None:
        super()._replenish_connection_ids()
        self._give_reset_tokens()

    def _give_reset_tokens(self) -> None:
        """Replace aioquic's random tokens, which are forgotten with the process."""
        for one in self._host_cids:
            one.stateless_reset_token = self._reset_token(one.cid)

    def _serialize_transport_parameters(self) -> bytes:
        return super()._serialize_transport_parameters() + LARGEST_ANNOUNCED


class _Frames:
    """Counts the frames of a packet. STREAM frames don't count: each has at least three bytes."""

    def __init__(self, handlers: FrameHandlers) -> None:
        self._handlers = handlers
        self._packet: QuicReceiveContext | None = None
        self._left = 0

    def bounded(self) -> FrameHandlers:
        """Return the same handlers, but with an error for a packet that has too many frames."""
        return {
            frame_type: (handler if frame_type in STREAM_FRAMES else self._handle, epochs)
            for frame_type, (handler, epochs) in self._handlers.items()
        }

    def _handle(self, packet: QuicReceiveContext, frame_type: int, buffer: Buffer) -> None:
        if packet is not self._packet:
            self._packet = packet
            self._left = MOST_FRAMES
        self._left -= WEIGHTS.get(frame_type, 1)
        if self._left < 0:
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="too many frames in a packet",
            )
        self._handlers[frame_type][0](packet, frame_type, buffer)


class _Streams(dict[int, QuicStream]):
    """All streams of a connection. Their waiting pieces are counted together."""

    def __init__(self) -> None:
        super().__init__()
        self._tally = _Tally()

    def __setitem__(self, stream_id: int, stream: QuicStream) -> None:
        pieces = cast(_Pieces, stream.receiver._ranges)
        pieces.__class__ = _Pieces
        pieces.tally = self._tally
        super().__setitem__(stream_id, stream)


class _Tally:
    """The number of waiting pieces in all streams of a connection."""

    count = 0


class _Pieces(RangeSet):
    """The pieces of one stream that wait for earlier data."""

    tally: _Tally

    def add(self, start: int, stop: int | None = None) -> None:
        before = len(self)
        super().add(start, stop)
        self.tally.count += len(self) - before
        if self.tally.count > MOST_GAPS:
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=QuicFrameType.STREAM_BASE,
                reason_phrase="more gaps than any loss makes",
            )

    def shift(self) -> range:
        self.tally.count -= 1
        return super().shift()


class _CryptoReceiver(QuicStreamReceiver):
    """A receiver of handshake data: it takes little data, in few pieces."""

    def __init__(self) -> None:
        super().__init__(stream_id=None, readable=True)

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        end = frame.offset + len(frame.data)
        event = super().handle_frame(frame) if end <= MOST_CRYPTO else None
        if end > MOST_CRYPTO or len(self._ranges) > MOST_CRYPTO_GAPS:
            raise QuicConnectionError(
                error_code=QuicErrorCode.CRYPTO_BUFFER_EXCEEDED,
                frame_type=QuicFrameType.CRYPTO,
                reason_phrase="more handshake data, or gaps in it, than any client needs",
            )
        return event


class _DeafReceiver(QuicStreamReceiver):
    """A receiver that counts the arriving bytes, and keeps none."""

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        highest, end = self.highest_offset, frame.offset + len(frame.data)
        self._buffer_start = max(self._buffer_start, end)
        event = super().handle_frame(QuicStreamFrame(data=b"", offset=end, fin=frame.fin))
        if event is None and self.highest_offset > highest:
            assert self._stream_id is not None
            return StreamDataReceived(data=b"", end_stream=False, stream_id=self._stream_id)
        return event


def deafen(receiver: QuicStreamReceiver) -> None:
    """Make a receiver drop all data that arrived out of order, and all that arrives later."""
    if receiver.is_finished and receiver.starting_offset() == receiver.highest_offset:
        return
    receiver.__class__ = _DeafReceiver
    receiver._buffer.clear()
    receiver._buffer_start = max(receiver._buffer_start, receiver.highest_offset)
    while len(receiver._ranges):
        receiver._ranges.shift()


class ClientMachine(QuicConnection):
    """
    A client's machine, with keys for two groups at most; every server knows the first.

    A stateless reset of the server ends it, as a CONNECTION_CLOSE does.
    """

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take in a datagram."""
        if self._is_reset(data):
            self._close_event = ConnectionTerminated(
                error_code=QuicErrorCode.NO_ERROR, frame_type=None, reason_phrase=FORGOTTEN
            )
            self._close_begin(is_initiator=False, now=now)
        else:
            super().receive_datagram(data, addr, now)

    def _is_reset(self, data: bytes) -> bool:
        # Nearly every datagram is for the id that the server knows us by, and is no reset.
        if data.startswith(self.host_cid, 1) or self._close_event is not None:
            return False
        # An id that was not used yet, or is retired, must not count.
        found, token = token_in(data), self._peer_cid.stateless_reset_token
        return found is not None and len(token) == TOKEN and compare_digest(found, token)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        # Each offered group needs a pair of keys; those of P-384 and X448 took a launch 3 ms. The
        # groups are filtered, not set: OpenSSL in FIPS mode makes no keys for X25519.
        self.tls._supported_groups = [
            group for group in self.tls._supported_groups if group in _GROUPS
        ]
