"""A certificate whose files are replaced under a running server."""

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from tests.support.server_process import PATIENCE, ServerProcess, running

from runtara_protocol.quic.certificates import LocalAuthority
from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect
from runtara_protocol.quic.error import UntrustedServer


def issue(folder: Path, authority: str) -> Path:
    """Put a certificate of this authority where the server has its own; give the authority's."""
    signed_by = LocalAuthority.open(folder / authority)
    issued = signed_by.issue()
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(b"".join(one.public_bytes(pem) for one in issued.chain))
    key = issued.private_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(key)
    return signed_by.ca_path


def trusting(server: ServerProcess, ca_path: Path) -> ClientSettings:
    return ClientSettings(host="127.0.0.1", port=server.port, ca_path=ca_path)


async def connected_once_trusted(settings: ClientSettings) -> ClientConnection:
    """Connect as soon as the server shows a certificate of theirs."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await connect(settings)
            except UntrustedServer:
                pass


async def test_a_renewed_certificate_is_shown_to_later_connections(tmp_path: Path) -> None:
    """A connection outlives the change; a broken pair changes nothing, and is logged once."""
    first = issue(tmp_path, "first")
    async with running(tmp_path, RUNTARA_TLS_CERT="cert.pem", RUNTARA_TLS_KEY="key.pem") as server:
        async with await connect(trusting(server, first)) as before:
            second = await asyncio.to_thread(issue, tmp_path, "second")
            async with await connected_once_trusted(trusting(server, second)):
                pass
            await asyncio.to_thread((tmp_path / "key.pem").write_text, "no key")
            await server.said("not renewed")
            async with await connect(trusting(server, second)):
                pass
            third = await asyncio.to_thread(issue, tmp_path, "third")
            async with await connected_once_trusted(trusting(server, third)):
                pass
            assert not before.is_closed
        # The process logs in a thread of its own, after the new certificate is in use.
        await server.until(lambda: "\n".join(server.lines).count("certificate renewed") == 2)
