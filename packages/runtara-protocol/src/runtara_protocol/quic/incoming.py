"""Which connection a datagram is for, and what to do with one that is for none yet."""

from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # Public, but not marked so.
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

LONG_HEADER = 0x80


def short_header_cid(data: bytes, length: int) -> bytes | None:
    """Return the connection id of a packet of an established connection; None for any other."""
    return None if not data or data[0] & LONG_HEADER else data[1 : 1 + length]


def long_header(data: bytes, length: int) -> QuicHeader | None:
    """Return the first packet's header; None if it is none of QUIC's."""
    try:
        return pull_quic_header(Buffer(data=data), host_cid_length=length)
    except ValueError:
        return None


def is_first_of_connection(header: QuicHeader, data: bytes) -> bool:
    """Tell whether a client may open a connection with this datagram."""
    is_large_enough = len(data) >= SMALLEST_MAX_DATAGRAM_SIZE
    return header.packet_type is QuicPacketType.INITIAL and is_large_enough


def version_negotiation(header: QuicHeader, configuration: QuicConfiguration) -> bytes | None:
    """Return what to answer to a version we don't speak; None if we do, or must not answer."""
    if (
        header.version is None
        or header.version in configuration.supported_versions
        # Two servers would answer each other's negotiations for ever.
        or header.packet_type is QuicPacketType.VERSION_NEGOTIATION
    ):
        return None
    return encode_quic_version_negotiation(
        source_cid=header.destination_cid,
        destination_cid=header.source_cid,
        supported_versions=configuration.supported_versions,
    )


def refusal(header: QuicHeader, reason: bytes) -> bytes:
    """Return a datagram that tells the client it is refused, at no state of ours."""
    assert header.version is not None
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=header.version)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        is_client=False,
        max_datagram_size=SMALLEST_MAX_DATAGRAM_SIZE,
        peer_cid=header.source_cid,
        version=header.version,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    frame = builder.start_frame(
        QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY + len(reason)
    )
    frame.push_uint_var(QuicErrorCode.CONNECTION_REFUSED)
    frame.push_uint_var(QuicFrameType.PADDING)
    frame.push_uint_var(len(reason))
    frame.push_bytes(reason)
    datagrams, _ = builder.flush()
    return datagrams[0]
