"""Reading which connection a datagram is for, and answering those that are for none yet."""

from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # Public, but not marked so.
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoError, CryptoPair  # type: ignore[attr-defined]  # The same.
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicPacketBuilder

LONG_HEADER = 0x80
# A client's first connection id has at least so many bytes (RFC 9000, section 7.2).
SHORTEST_FIRST_CID = 8


def long_header(data: bytes, length: int) -> QuicHeader | None:
    """Return the first packet's header; None if the datagram is not QUIC."""
    try:
        return pull_quic_header(Buffer(data=data), host_cid_length=length)
    except ValueError:
        return None


def first_header(data: bytes) -> tuple[QuicHeader, int]:
    """Return the header of a first datagram, and the offset at which the header ends."""
    buffer = Buffer(data=data)
    return pull_quic_header(buffer), buffer.tell()


def is_large_enough(data: bytes) -> bool:
    """Return whether a datagram is large enough to begin a connection and to be answered."""
    return len(data) >= SMALLEST_MAX_DATAGRAM_SIZE


def is_first_of_connection(header: QuicHeader) -> bool:
    """Return whether a packet may begin a connection."""
    return (
        header.packet_type is QuicPacketType.INITIAL
        and len(header.destination_cid) >= SHORTEST_FIRST_CID
    )


def is_authentic(header: QuicHeader, data: bytes, offset: int) -> bool:
    """Return whether the packet decrypts with the key in its header; random bytes don't."""
    crypto = _initial_crypto(header)
    try:
        crypto.decrypt_packet(data[: header.packet_length], offset, 0)
    except CryptoError:
        return False
    return True


def version_negotiation(header: QuicHeader, configuration: QuicConfiguration) -> bytes | None:
    """Return the answer to an unknown version; None if we know it, or must not answer."""
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


def retry(header: QuicHeader, source_cid: bytes, token: bytes) -> bytes:
    """Return a datagram that makes the client begin again, with this token and to this id."""
    assert header.version is not None
    return encode_quic_retry(
        version=header.version,
        source_cid=source_cid,
        destination_cid=header.source_cid,
        original_destination_cid=header.destination_cid,
        retry_token=token,
    )


def refusal(header: QuicHeader, reason: bytes) -> bytes:
    """Return a datagram that refuses the client; the server keeps no state for it."""
    assert header.version is not None
    crypto = _initial_crypto(header)
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


def _initial_crypto(header: QuicHeader) -> CryptoPair:
    assert header.version is not None
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=header.version)
    return crypto
