"""Stateless resets: clients of a server that was killed and started again notice it at once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tests.support import server_process
from tests.support.lossy_proxy import lossy_proxy
from tests.support.quic_handlers import Echo, Gated, Served, serving
from tests.support.server_process import running

from runtara_protocol.quic.certificates import LocalAuthority, self_signed
from runtara_protocol.quic.client import ClientSettings, connect
from runtara_protocol.quic.error import ConnectionLost
from runtara_protocol.quic.machine import FORGOTTEN
from runtara_protocol.quic.resets import LARGEST, MOST_A_SECOND, SMALLEST, TOKEN, Resets

HERE = ("127.0.0.1", 8001)
CID = bytes(range(8))


def short(size: int, cid: bytes = CID, form: int = 0x40) -> bytes:
    """Give a packet with a short header."""
    return (bytes([form]) + cid).ljust(size, b"\x07")


@pytest.fixture
def resets() -> Resets:
    return Resets(b"secret", HERE)


def test_an_answer_is_shorter_than_its_packet_and_ends_with_the_token(resets: Resets) -> None:
    """It amplifies nothing, and two servers can't answer each other for ever."""
    for size in range(1500):
        answer = resets.answer(short(size), 8, now=size / MOST_A_SECOND)
        if answer is None:
            assert size <= 8 + TOKEN
            continue
        assert SMALLEST <= len(answer) < size
        assert len(answer) <= LARGEST
        assert answer[0] & 0xC0 == 0x40
        assert answer[-TOKEN:] == resets.token(CID)


def test_answers_differ_in_all_but_the_token(resets: Resets) -> None:
    answers = {resets.answer(short(100), 8, now=0.0) for _ in range(20)}

    assert len(answers) == 20


@pytest.mark.parametrize("form", [0x00, 0x80, 0xC0])
def test_what_has_no_short_header_gets_no_answer(resets: Resets, form: int) -> None:
    assert resets.answer(short(100, form=form), 8, now=0.0) is None


def test_a_flood_gets_only_so_many_answers(resets: Resets) -> None:
    def answered(count: int, now: float) -> int:
        return sum(resets.answer(short(100), 8, now) is not None for _ in range(count))

    assert answered(5000, now=100.0) == MOST_A_SECOND
    assert answered(5000, now=100.5) == MOST_A_SECOND / 2


def test_only_the_same_server_has_a_token_again() -> None:
    """One with the same certificate that listens elsewhere can't be asked for it."""
    tokens = [
        Resets(secret, address).token(cid)
        for secret in (b"secret", b"other")
        for address in (HERE, ("127.0.0.1", 8002), ("127.0.0.2", 8001))
        for cid in (CID, CID[::-1])
    ]

    assert len(set(tokens)) == len(tokens) == 12
    assert Resets(b"secret", HERE).token(CID) == tokens[0]


def test_machines_of_other_names_have_other_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = set()
    for name in ("one", "other", "one"):
        monkeypatch.setattr(socket, "gethostname", partial(str, name))
        tokens.add(Resets(b"secret", HERE).token(CID))

    assert len(tokens) == 2


def test_a_secret_lasts_as_long_as_what_it_comes_from(tmp_path: Path) -> None:
    """The authority of this machine issues a new key at each start."""
    one = LocalAuthority.open(tmp_path).issue()
    again = LocalAuthority.open(tmp_path).issue()
    other = LocalAuthority.open(tmp_path / "other").issue()

    assert one.lasting_secret == again.lasting_secret != other.lasting_secret
    assert self_signed().lasting_secret != self_signed().lasting_secret


@pytest.fixture
async def served() -> AsyncIterator[Served[Gated]]:
    async with serving(Gated, grace=0.0) as one:
        yield one


async def test_a_client_gets_the_servers_token_of_each_id() -> None:
    """Also of the spare ids: a client that changes its address goes on with one of them."""
    async with serving(Echo) as served, await served.connect() as connection:
        await connection.exchange(b"after the frames of the spare ids")
        known = connection._quic
        ids = [known._peer_cid, *known._peer_cid_available]
        tokens = [served.listener._resets.token(one.cid) for one in ids]

    assert len(ids) > 1
    assert [one.stateless_reset_token for one in ids] == tokens


async def test_only_the_token_of_the_id_in_use_ends_a_connection(served: Served[Gated]) -> None:
    """Not a guess, and not the token of an id that the client keeps for later."""
    async with await served.connect(keep_alive=60.0) as connection:
        held = asyncio.create_task(connection.exchange(b"held"))
        handler = await served.handler()
        await handler.received.get()
        mine, datapath = connection._datapath._sock.getsockname(), served.listener._datapath
        known = connection._quic
        spare = known._peer_cid_available[0].stateless_reset_token
        for token in (bytes(TOKEN), spare):
            datapath.send(b"\x41" + bytes(30) + token, mine)
            datapath.send(b"\xc1" + bytes(30) + known._peer_cid.stateless_reset_token, mine)
        handler.gate.set()
        assert await held == b"held"

        handler.gate.clear()
        held = asyncio.create_task(connection.exchange(b"again"))
        await handler.received.get()
        datapath.send(b"\x41" + bytes(30) + known._peer_cid.stateless_reset_token, mine)
        with pytest.raises(ConnectionLost, match=FORGOTTEN):
            await held


async def test_a_connection_that_the_server_has_dropped_is_reset(served: Served[Gated]) -> None:
    """The server tells nothing when it drops one, as when it is out of memory."""
    async with await served.connect(keep_alive=60.0) as connection:
        held = asyncio.create_task(connection.exchange(b"held"))
        handler = await served.handler()
        await handler.received.get()
        handler.connection.drop("out of memory")
        with pytest.raises(ConnectionLost, match=FORGOTTEN):
            await connection.exchange(b"more")
        with pytest.raises(ConnectionLost, match=FORGOTTEN):
            await held
        handler.gate.set()


async def test_a_strangers_packet_is_answered_by_the_socket_too() -> None:
    async with serving(Echo) as served:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", served.port))
            stranger.setblocking(False)
            stranger.send(short(SMALLEST))
            stranger.send(short(30))
            answer = await asyncio.get_running_loop().sock_recv(stranger, 2000)

    assert len(answer) == 29


async def test_a_held_request_notices_a_killed_server_that_is_back(tmp_path: Path) -> None:
    """At the client's next packet, and not when the connection has been idle for minutes."""
    async with (
        running(tmp_path, "--dev") as server,
        # Between the two, so that the port of the killed server refuses no packet of the client.
        lossy_proxy((server_process.HOST, server.port), loss=0) as (_, port),
        await connect(
            ClientSettings(
                host=server_process.HOST,
                port=port,
                ca_path=tmp_path / ".runtara/ca.pem",
                idle_timeout=600.0,
                keep_alive=600.0,
            )
        ) as connection,
    ):
        held = asyncio.create_task(connection.upload(b"", never()))
        await server.restart()
        connection._keep_alive()
        async with asyncio.timeout(60):
            with pytest.raises(ConnectionLost, match=FORGOTTEN):
                await held


async def never() -> AsyncIterator[bytes]:
    """A body that goes on for ever."""
    await asyncio.get_running_loop().create_future()
    yield b""
