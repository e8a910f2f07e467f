import asyncio
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aioquic.asyncio.client import connect as raw_connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import Group
from cryptography.hazmat.backends import default_backend
from tests.support.lossy_proxy import lossy_proxy
from tests.support.quic_handlers import CERTIFICATE, Echo, Gated, serving
from tests.support.raw_client import raw_client

from runtara_protocol.quic import client as quic_client
from runtara_protocol.quic.certificates import LocalAuthority
from runtara_protocol.quic.client import ClientSettings, connect, prepare
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.error import (
    ConnectError,
    ConnectionLost,
    TrustFailure,
    UntrustedServer,
)
from runtara_protocol.quic.fair_queue import Address
from runtara_protocol.quic.machine import FORGOTTEN


async def test_a_client_offers_no_group_that_openssl_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In FIPS mode OpenSSL makes no keys for X25519."""
    backend = type(default_backend())
    monkeypatch.setattr(backend, "x25519_supported", lambda _: False)

    async with serving(Echo) as served, await served.connect() as connection:
        assert Group.X25519 not in connection._quic.tls._supported_groups
        assert await connection.exchange(b"echo") == b"echo"


async def test_a_prepared_connection_is_the_next_one_with_its_settings() -> None:
    """It may have waited long, and sent nothing. The connection after it makes keys of its own."""
    async with serving(Echo, idle_timeout=1.0) as served:
        settings = ClientSettings(
            host="127.0.0.1", port=served.port, verify=False, idle_timeout=1.0
        )
        prepare(settings)
        [waiting] = quic_client._prepared.values()
        await asyncio.sleep(1.5)  # Longer than a silent server is waited for.
        assert not served.handlers

        async with await connect(replace(settings, connect_timeout=9.0)) as other:
            assert other is not waiting
        async with await connect(settings) as connection:
            assert connection is waiting
            assert await connection.exchange(b"echo") == b"echo"
        async with await connect(settings) as later:
            assert later is not waiting

    prepare(replace(settings, host="localhost"))
    assert not quic_client._prepared


async def test_a_prepared_connection_of_another_address_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine's own address may have changed since: packets from the old one would be lost."""

    def bound(family: int, address: Address) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.2", 0))
        sock.connect(address)
        return sock

    async with serving(Echo) as served:
        settings = ClientSettings(host="127.0.0.1", port=served.port, verify=False)
        with monkeypatch.context() as patched:
            patched.setattr(quic_client, "_socket", bound)
            prepare(settings)
        [waiting] = quic_client._prepared.values()

        async with await connect(settings) as connection:
            assert connection is not waiting
            assert waiting.is_closed
            assert await connection.exchange(b"echo") == b"echo"


async def test_an_idle_connection_lives_on_the_servers_pings() -> None:
    """With a server that pings, silence longer than the idle timeout ends nothing."""
    async with (
        serving(Echo, idle_timeout=1.0, keep_alive=0.1) as served,
        await served.connect(idle_timeout=1.0, keep_alive=60.0) as connection,
    ):
        handler = await served.handler()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handler.is_closed.wait(), 2.0)

        assert await connection.exchange(b"still here") == b"still here"


async def test_an_idle_connection_lives_on_the_clients_pings() -> None:
    """A client that pings keeps a server that doesn't from giving it up."""
    async with (
        serving(Echo, idle_timeout=1.0, keep_alive=None) as served,
        await served.connect(idle_timeout=1.0, keep_alive=0.1) as connection,
    ):
        handler = await served.handler()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handler.is_closed.wait(), 2.0)

        assert await connection.exchange(b"still here") == b"still here"


async def test_without_pings_silence_ends_a_connection() -> None:
    """Both sides notice it and report it; the client may hear it from the server."""
    async with serving(Echo, idle_timeout=0.2, keep_alive=None) as served:
        connection = await served.connect(keep_alive=60.0)
        await (await served.handler()).is_closed.wait()
        with pytest.raises(ConnectionLost, match=f"Idle timeout|{FORGOTTEN}"):
            await connection.exchange(b"")

    assert connection.is_closed


async def test_a_server_that_vanishes_is_lost() -> None:
    """When nothing listens there any more, an exchange fails at once, not after 30 s."""
    async with serving(Gated, grace=0.0) as served:
        async with lossy_proxy(served.listener.address, loss=0) as (_, port):
            connection = await served.connect(port=port)
            exchange = asyncio.create_task(connection.exchange(b"held"))
            handler = await served.handler()
            await handler.received.get()
        with pytest.raises(ConnectionLost, match="nothing listens"):
            await connection.exchange(b"more")
        with pytest.raises(ConnectionLost):
            await exchange
        handler.gate.set()


async def test_closing_gives_the_client_the_reason() -> None:
    """The server's reason reaches waiting callers; closing again changes nothing."""
    async with serving(Gated) as served:
        connection = await served.connect()
        exchange = asyncio.create_task(connection.exchange(b"held"))
        handler = await served.handler()
        await handler.received.get()
        handler.connection.close("go elsewhere")
        handler.connection.close("again")
        handler.gate.set()

        with pytest.raises(ConnectionLost, match="go elsewhere"):
            await exchange
        assert handler.connection.is_closed
        assert handler.is_closed.is_set()
        assert handler.connection.address[0] == "127.0.0.1"


async def test_a_port_in_use_raises() -> None:
    """Two listeners can't have one port."""
    async with serving(Echo) as served:
        with pytest.raises(OSError, match="in use"):
            async with serving(Echo, port=served.port):
                pytest.fail("it listens")


async def test_ipv6_and_the_systems_buffers() -> None:
    """A listener on ::1 is reached there, and buffers are left alone at 0."""
    async with (
        serving(Echo, host="::1", udp_recv_buffer=0, udp_send_buffer=0) as served,
        await served.connect(host="::1") as connection,
    ):
        assert await connection.exchange(b"six") == b"six"


async def test_no_new_connection_once_it_stops_accepting() -> None:
    """Established connections go on."""
    async with serving(Echo) as served, await served.connect() as connection:
        assert await connection.exchange(b"in") == b"in"
        served.listener.stop_accepting()

        with pytest.raises(ConnectError, match="refused"):
            await served.connect()
        assert await connection.exchange(b"on") == b"on"


async def test_a_connection_over_the_bound_is_refused() -> None:
    """The next is taken as soon as one has gone."""
    async with serving(Echo, max_connections=1) as served:
        async with await served.connect():
            # The server, too, knows of it now.
            handler = await served.handler()
            with pytest.raises(ConnectError, match="refused"):
                await served.connect()
        await handler.is_closed.wait()

        async with await served.connect() as connection:
            assert await connection.exchange(b"next") == b"next"


async def test_of_two_that_come_at_once_one_is_refused() -> None:
    """The bound holds for handshakes that were begun before it was reached."""
    async with serving(Gated, max_connections=1) as served:

        async def attempt() -> bytes:
            async with await served.connect() as connection:
                return await connection.exchange(b"taken")

        attempts = [asyncio.create_task(attempt()) for _ in range(2)]
        done, _ = await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
        (await served.handler()).gate.set()
        results = await asyncio.gather(*attempts, return_exceptions=True)

    assert isinstance(done.pop().exception(), ConnectionError)
    assert results.count(b"taken") == 1


async def test_handshakes_over_the_bound_are_refused() -> None:
    """No state is kept for a client beyond those under way."""
    async with serving(Echo, max_incoming=0) as served:
        with pytest.raises(ConnectError, match="refused"):
            await served.connect()


async def test_a_bug_in_one_connection_hurts_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """The connection it happens in is given up, with a traceback in the log."""
    made: list[Echo] = []

    def make(connection: Connection) -> Echo:
        if made:
            raise LookupError("a bug")
        made.append(Echo(connection))
        return made[0]

    async with serving(make) as served, await served.connect() as connection:
        assert await connection.exchange(b"before") == b"before"
        async with await served.connect(idle_timeout=0.5) as other:
            with pytest.raises(ConnectionLost):
                await other.exchange(b"never")

        assert await connection.exchange(b"after") == b"after"
    assert "LookupError: a bug" in caplog.text


async def test_garbage_and_other_versions_hurt_no_client() -> None:
    """What is no packet of a known connection is dropped, another version is answered."""
    async with serving(Echo) as served, await served.connect() as connection:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", served.port))
            sock.setblocking(False)
            for datagram in (b"", b"\x40short", b"\xc0", b"\xff" * 1200, bytes(1200)):
                sock.send(datagram)
            sock.send(b"\xc0\x0a\x0a\x0a\x0a\x08" + bytes(8) + b"\x08" + bytes(8) + bytes(1200))
            answer = await asyncio.get_running_loop().sock_recv(sock, 2000)

        assert answer[1:5] == bytes(4)
        assert await connection.exchange(b"fine") == b"fine"


async def test_a_stranger_without_alpn_is_accepted_and_version_2_negotiated_away() -> None:
    """aioquic's stock client, which offers no ALPN, is served."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        client.quic.send_stream_data(0, b"hello", end_stream=True)
        client.transmit()

        assert await client.answer(0) == b"hello"


async def test_a_certificate_of_a_trusted_authority(tmp_path: Path) -> None:
    """A client given the authority's `ca.pem` knows the server by any of its names."""
    authority = LocalAuthority.open(tmp_path)
    certificate = authority.issue(["core.example", "127.0.0.1"])
    async with serving(Echo, certificate=certificate) as served:
        for name in ("core.example", "127.0.0.1"):
            trusting = {"verify": True, "ca_path": authority.ca_path, "server_name": name}
            async with await served.connect(**trusting) as connection:
                assert await connection.exchange(b"trusted") == b"trusted"


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    """Neither a self-signed certificate nor another authority's is trusted; the error says so."""
    authority = LocalAuthority.open(tmp_path)
    async with serving(Echo) as served:
        for ca_path in (authority.ca_path, None):
            with pytest.raises(UntrustedServer, match="certificate") as raised:
                await served.connect(verify=True, ca_path=ca_path)
            assert raised.value.why is TrustFailure.ISSUER


async def test_another_name_is_refused(tmp_path: Path) -> None:
    """The error names the name asked for and those the certificate bears."""
    authority = LocalAuthority.open(tmp_path)
    async with serving(Echo, certificate=authority.issue(["core.example"])) as served:
        with pytest.raises(
            UntrustedServer, match=r"for core\.example, not for 'localhost'"
        ) as raised:
            await served.connect(verify=True, ca_path=authority.ca_path)
    assert raised.value.why is TrustFailure.NAME


async def test_nothing_listening_is_said_at_once() -> None:
    """A closed port needs no timeout."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

    with pytest.raises(ConnectError, match=f"127.0.0.1 port {port}: nothing listens"):
        await connect(ClientSettings(host="127.0.0.1", port=port))


async def test_a_server_that_says_nothing_is_waited_for_only_so_long() -> None:
    """The error says how long it waited."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ConnectError, match=r"no answer within 0\.1 s"):
            await connect(ClientSettings(host="127.0.0.1", port=port, connect_timeout=0.1))


async def test_an_unknown_name_is_named() -> None:
    """The host that can't be found is in the error."""
    with pytest.raises(ConnectError, match=r"no-such-host\.invalid"):
        await connect(ClientSettings(host="no-such-host.invalid", port=1))


async def test_a_stranger_with_alpn_is_not_refused_by_us() -> None:
    """We have none to choose from: it is for such a client to end it."""
    async with serving(Echo) as served:
        configuration = QuicConfiguration(
            is_client=True, verify_mode=ssl.CERT_NONE, alpn_protocols=["other"]
        )
        with pytest.raises(ConnectionError):
            async with raw_connect("127.0.0.1", served.port, configuration=configuration):
                pytest.fail("it connects")


def test_the_self_signed_certificate_is_for_localhost() -> None:
    """It bears the three names of this machine."""
    assert "localhost" in str(CERTIFICATE.chain[0].extensions)
