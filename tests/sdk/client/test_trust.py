"""Which servers are taken for the core."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sdk.fake_server import FakeServer

from runtara_protocol.quic.certificates import Certificate, LocalAuthority
from runtara_sdk import Client, ConnectionFailed, ServerNotTrusted, Settings


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority.open(tmp_path / "ours")


@pytest.fixture
async def vouched_for(
    server: FakeServer, settings: Callable[..., Settings], authority: LocalAuthority
) -> AsyncIterator[Callable[..., Settings]]:
    """Settings for a server whose certificate the authority signed."""
    async with server.listen(certificate=authority.issue()) as listener:
        address = f"127.0.0.1:{listener.address[1]}"
        known = {"server_addr": address, "skip_cert_verification": False}
        yield lambda **changes: settings(**known | changes)


def expired() -> Certificate:
    """A certificate of a day that is long past."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=day,
        not_valid_after=day + timedelta(days=1),
    )
    return Certificate((builder.sign(key, hashes.SHA256()),), key)


async def test_a_server_the_authority_vouches_for_is_trusted(
    server: FakeServer, vouched_for: Callable[..., Settings], authority: LocalAuthority
) -> None:
    """Nothing is warned of."""
    given = vouched_for(tls_ca=authority.ca_path)
    async with Client(given) as client:
        await client.get_status()


async def test_a_server_another_authority_vouches_for_is_not(
    server: FakeServer, vouched_for: Callable[..., Settings], tmp_path: Path
) -> None:
    """It gets no request, and no second try; the error says where trust comes from."""
    other = LocalAuthority.open(tmp_path / "theirs")
    given = vouched_for(tls_ca=other.ca_path)
    async with Client(given) as client:
        with pytest.raises(ServerNotTrusted) as raised:
            await client.get_status()

    said = str(raised.value)
    assert "its certificate is not trusted" in said
    assert "set RUNTARA_TLS_CA to the PEM file of the authority that signed it" in said
    assert f"it is {other.ca_path}." in said
    assert "RUNTARA_SKIP_CERT_VERIFICATION=true" in said
    assert server.requests == []


async def test_without_authorities_the_systems_count(vouched_for: Callable[..., Settings]) -> None:
    """They don't know a server's own authority."""
    async with Client(vouched_for()) as client:
        with pytest.raises(ServerNotTrusted, match="it is not set: the system's authorities count"):
            await client.get_status()


async def test_a_server_of_another_name_is_not_trusted(
    server: FakeServer, vouched_for: Callable[..., Settings], authority: LocalAuthority
) -> None:
    """The certificate must be made out to RUNTARA_SERVER_NAME; both sides are named."""
    given = vouched_for(tls_ca=authority.ca_path, server_name="core.example.org")
    async with Client(given) as client:
        with pytest.raises(ServerNotTrusted) as raised:
            await client.get_status()

    said = str(raised.value)
    assert "is for localhost, 127.0.0.1, ::1, not for 'core.example.org'" in said
    assert "set RUNTARA_SERVER_NAME, which is core.example.org, to a name in it" in said
    assert server.requests == []


async def test_a_certificate_out_of_its_time_is_not_trusted(
    server: FakeServer, settings: Callable[..., Settings], authority: LocalAuthority
) -> None:
    """The server's side is to be looked after."""
    async with server.listen(certificate=expired()) as listener:
        given = settings(
            server_addr=f"127.0.0.1:{listener.address[1]}",
            skip_cert_verification=False,
            tls_ca=authority.ca_path,
        )
        async with Client(given) as client:
            with pytest.raises(ServerNotTrusted, match="have it renewed"):
                await client.get_status()


async def test_one_that_is_not_trusted_does_not_end_the_search_for_others(
    settings: Callable[..., Settings], vouched_for: Callable[..., Settings]
) -> None:
    """Servers that are away may come back. The error says why each failed."""
    addresses = f"127.0.0.1:1,{vouched_for().server_addr}"
    async with Client(vouched_for(server_addr=addresses, request_timeout_ms=300)) as client:
        with pytest.raises(ConnectionFailed) as raised:
            await client.get_status()

    said = str(raised.value)
    assert "127.0.0.1 port 1: nothing listens there" in said
    assert "its certificate is not trusted" in said
    assert "set RUNTARA_TLS_CA" in said
