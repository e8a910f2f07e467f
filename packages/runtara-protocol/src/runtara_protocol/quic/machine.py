"""
aioquic's machine of one connection, with bounds on what a client can make it do.

A frame of a few bytes may cost a thousand times what it cost to send. See
docs/decisions/0020-what-a-peer-may-cost.md for the bounds and aioquic's private names used here.
"""

from typing import Any

from aioquic.quic.connection import QuicConnection, QuicConnectionError
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicStreamFrame
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStream, QuicStreamReceiver

from runtara_protocol.quic.datapath import LARGEST_DATAGRAM

# Pieces of all streams of a connection that wait for what belongs before them. A client may be
# 512 KiB ahead, 437 full datagrams: losing or swapping every other one makes half as many.
MOST_GAPS = 512
# A ClientHello has a few hundred bytes, with keys for quantum computers two thousand.
MOST_CRYPTO = 16 * 1024
MOST_CRYPTO_GAPS = 32
# A client that gives up 290 streams at once fills a packet with as many frames.
MOST_FRAMES = 512
# As many frames of one byte or two does a frame count for that makes more work than those.
WEIGHTS = {
    QuicFrameType.ACK: 64,
    QuicFrameType.ACK_ECN: 64,
    QuicFrameType.CRYPTO: 8,
    QuicFrameType.NEW_CONNECTION_ID: 16,
    QuicFrameType.RETIRE_CONNECTION_ID: 32,
    QuicFrameType.PATH_CHALLENGE: 16,
    QuicFrameType.PATH_RESPONSE: 16,
}
# The transport parameter max_udp_payload_size, which aioquic doesn't announce.
LARGEST_ANNOUNCED = b"\x03\x02" + (0x4000 | LARGEST_DATAGRAM).to_bytes(2, "big")


# Private even for a subclass.
HANDLERS = "_QuicConnection__frame_handlers"


class Machine(QuicConnection):
    """A server's connection, which a client that goes over a bound ends for itself."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._gaps = _Tally()
        handlers: dict[int, Any] = vars(self)[HANDLERS]
        self._frames = vars(self)[HANDLERS] = _Frames(handlers)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        for stream in self._crypto_streams.values():
            stream.receiver = _CryptoReceiver()

    def _serialize_transport_parameters(self) -> bytes:
        return super()._serialize_transport_parameters() + LARGEST_ANNOUNCED

    def _payload_received(self, *args: Any, **named: Any) -> tuple[bool, bool]:
        self._frames.left = MOST_FRAMES
        return super()._payload_received(*args, **named)

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        stream = super()._get_or_create_stream(frame_type, stream_id)
        pieces = stream.receiver._ranges
        if type(pieces) is RangeSet:
            pieces.__class__ = _Pieces
            vars(pieces)["tally"] = self._gaps
        return stream


class _Frames(dict[int, Any]):
    """The handlers of all frame types, looked up as often as a packet may hold frames."""

    left = 0

    def __getitem__(self, frame_type: int) -> Any:
        self.left -= WEIGHTS.get(frame_type, 1)  # type: ignore[call-overload]
        if self.left < 0:
            raise QuicConnectionError(
                error_code=QuicErrorCode.PROTOCOL_VIOLATION,
                frame_type=frame_type,
                reason_phrase="too many frames in a packet",
            )
        return super().__getitem__(frame_type)


class _Tally:
    """How many pieces all streams of a connection have."""

    count = 0


class _Pieces(RangeSet):
    """The pieces of one stream that wait for what belongs before them."""

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
    """What a client says of its handshake: little, and in few pieces."""

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
    """Counts what comes, and keeps none of it."""

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        highest, end = self.highest_offset, frame.offset + len(frame.data)
        self._buffer_start = max(self._buffer_start, end)
        event = super().handle_frame(QuicStreamFrame(data=b"", offset=end, fin=frame.fin))
        if event is None and self.highest_offset > highest:
            assert self._stream_id is not None
            return StreamDataReceived(data=b"", end_stream=False, stream_id=self._stream_id)
        return event


def deafen(receiver: QuicStreamReceiver) -> None:
    """Have it go on as one that keeps nothing of what has come, or comes, out of order."""
    if receiver.is_finished and receiver.starting_offset() == receiver.highest_offset:
        return
    receiver.__class__ = _DeafReceiver
    receiver._buffer.clear()
    receiver._buffer_start = max(receiver._buffer_start, receiver.highest_offset)
    while len(receiver._ranges):
        receiver._ranges.shift()
