"""Which servers are taken for the core."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.sdk.fake_server import FakeServer
from tests.sdk.log_watch import LogWatch

from runtara_protocol.quic.certificates import LocalAuthority
from runtara_sdk import Client, ConnectionFailed, Settings


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
        yield lambda **changes: settings(
            server_addr=address,
            skip_cert_verification=False,
            request_timeout_ms=changes.pop("request_timeout_ms", 100),
            **changes,
        )


async def test_a_server_the_authority_vouches_for_is_trusted(
    server: FakeServer, vouched_for: Callable[..., Settings], authority: LocalAuthority
) -> None:
    """Nothing is warned of."""
    given = vouched_for(tls_ca=authority.ca_path, request_timeout_ms=5000)
    async with Client(given) as client:
        await client.get_status()


async def test_a_server_another_authority_vouches_for_is_not(
    server: FakeServer, vouched_for: Callable[..., Settings], tmp_path: Path
) -> None:
    """It gets no request; the error says where trust comes from."""
    other = LocalAuthority.open(tmp_path / "theirs")
    async with Client(vouched_for(tls_ca=other.ca_path)) as client:
        with pytest.raises(ConnectionFailed, match="RUNTARA_TLS_CA"):
            await client.get_status()

    assert server.requests == []


async def test_a_server_of_another_name_is_not_trusted(
    server: FakeServer, vouched_for: Callable[..., Settings], authority: LocalAuthority
) -> None:
    """The certificate must be made out to RUNTARA_SERVER_NAME."""
    given = vouched_for(tls_ca=authority.ca_path, server_name="core.example.org")
    async with Client(given) as client:
        with pytest.raises(ConnectionFailed):
            await client.get_status()

    assert server.requests == []


async def test_trusting_anybody_is_warned_of_once(
    settings: Callable[..., Settings], log: LogWatch
) -> None:
    """By the variable's name, when the client is opened."""
    async with Client(settings()) as client:
        await client.get_status()
        await client.get_status()

    assert len([line for line in log.lines if "RUNTARA_SKIP_CERT_VERIFICATION" in line]) == 1
