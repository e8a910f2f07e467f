"""A server that says what a test tells it to: for the client and the report, not for the rules."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[QuicConnection, int, bytes], None]
"""Told the connection, the stream and all it brought, once the client has ended it."""


class FakeProtocol(QuicConnectionProtocol):
    """Gather each stream's bytes, and answer when it ends."""

    def __init__(self, quic: QuicConnection, answer: Answer) -> None:
        super().__init__(quic)
        self._answer = answer
        self._brought: dict[int, bytearray] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        """Hand over what a stream brought."""
        if isinstance(event, StreamDataReceived):
            brought = self._brought.setdefault(event.stream_id, bytearray())
            brought += event.data
            if event.end_stream:
                self._answer(self._quic, event.stream_id, bytes(brought))


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """Serve on a free port of this machine, for as long as the block runs."""
    configuration = QuicConfiguration(is_client=False)
    configuration.certificate, configuration.private_key = _self_signed()
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: QuicServer(
            configuration=configuration,
            create_protocol=lambda quic, stream_handler: FakeProtocol(quic, answer),
        ),
        local_addr=("127.0.0.1", 0),
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        server.close()


def _self_signed() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate, key
