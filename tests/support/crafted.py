"""Packets that no client would build, in real encryption."""

import os
from time import monotonic

from aioquic.buffer import (  # type: ignore[attr-defined]  # Public, but not marked so.
    Buffer,
    encode_uint_var,
)
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicFrameType, QuicPacketType, QuicProtocolVersion, pull_quic_header
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import Epoch

LARGEST = 1200


def stream_frame(stream_id: int, offset: int, data: bytes = b"x") -> bytes:
    """Give a STREAM frame with its offset and length."""
    return _frame(0x0E, stream_id, offset, len(data)) + data


def crypto_frame(offset: int, data: bytes) -> bytes:
    """Give a CRYPTO frame."""
    return _frame(QuicFrameType.CRYPTO, offset, len(data)) + data


def retire_frame(sequence: int) -> bytes:
    """Give a RETIRE_CONNECTION_ID frame."""
    return _frame(QuicFrameType.RETIRE_CONNECTION_ID, sequence)


def reset_frame(stream_id: int, final_size: int) -> bytes:
    """Give a RESET_STREAM frame with code 0."""
    return _frame(QuicFrameType.RESET_STREAM, stream_id, 0, final_size)


def ack_frame(largest: int, ranges: int) -> bytes:
    """Give an ACK frame of every other packet number, down from the largest."""
    return _frame(QuicFrameType.ACK, largest, 0, ranges, 0) + bytes(2 * ranges)


def packed(frames: list[bytes], size: int = LARGEST - 60) -> list[bytes]:
    """Join frames to payloads of packets, as many in each as fit."""
    payloads, payload = [], b""
    for frame in frames:
        if len(payload) + len(frame) > size:
            payloads.append(payload)
            payload = b""
        payload += frame
    return [*payloads, payload]


def datagram(quic: QuicConnection, payload: bytes, largest: int = LARGEST) -> bytes:
    """Give a datagram of an established client with this payload; the client won't repeat it."""
    builder = QuicPacketBuilder(
        host_cid=quic.host_cid,
        is_client=True,
        max_datagram_size=largest,
        packet_number=quic._packet_number,
        peer_cid=quic._peer_cid.cid,
        version=QuicProtocolVersion.VERSION_1,
    )
    builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[Epoch.ONE_RTT])
    return _flushed(builder, payload, quic)


def initial(
    payload: bytes, *, cid: bytes | None = None, number: int = 0, source: bytes = b"attacker"
) -> bytes:
    """Give a datagram with an Initial packet of this payload, as a client may begin with."""
    cid = os.urandom(8) if cid is None else cid
    crypto = CryptoPair()
    crypto.setup_initial(cid=cid, is_client=True, version=QuicProtocolVersion.VERSION_1)
    builder = QuicPacketBuilder(
        host_cid=source,
        is_client=True,
        max_datagram_size=LARGEST,
        packet_number=number,
        peer_cid=cid,
        version=QuicProtocolVersion.VERSION_1,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    return _flushed(builder, payload)


class Hello:
    """What a client begins with; under as many connection ids as are wanted."""

    def __init__(self) -> None:
        quic = QuicConnection(configuration=QuicConfiguration(is_client=True))
        now = monotonic()
        quic.connect(("127.0.0.1", 1), now=now)
        [(self.first, _), *_] = quic.datagrams_to_send(now)
        buffer = Buffer(data=self.first)
        header = pull_quic_header(buffer)
        crypto = CryptoPair()
        crypto.setup_initial(
            cid=header.destination_cid, is_client=False, version=QuicProtocolVersion.VERSION_1
        )
        packet = self.first[: header.packet_length]
        _, payload, _ = crypto.decrypt_packet(packet, buffer.tell(), 0)
        self._payload = payload.rstrip(b"\0")
        self._source = header.source_cid

    def datagram(self) -> bytes:
        """Give one that opens another connection."""
        return initial(self._payload, source=self._source)


def random_initial() -> bytes:
    """Give random bytes with the header of a first datagram around them."""
    length = (0x4000 | (LARGEST - 26)).to_bytes(2, "big")
    cids = b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
    return b"\xc0\0\0\0\x01" + cids + b"\0" + length + os.urandom(LARGEST - 26)


def _frame(frame_type: int, *numbers: int) -> bytes:
    return bytes([frame_type]) + b"".join(encode_uint_var(number) for number in numbers)


def _flushed(
    builder: QuicPacketBuilder, payload: bytes, quic: QuicConnection | None = None
) -> bytes:
    builder.start_frame(payload[0], capacity=len(payload)).push_bytes(payload[1:])
    [made], _ = builder.flush()
    if quic is not None:
        quic._packet_number = builder.packet_number
    return made
