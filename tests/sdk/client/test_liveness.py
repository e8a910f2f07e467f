"""Telling a server that is gone from one that takes its time."""

import asyncio
from collections.abc import Callable

import pytest
from tests.sdk.fake_server import (
    DEFAULTS,
    Act,
    FakeServer,
    be_silent,
    hang_up,
    refuse,
    reply,
    reset,
)

from runtara_protocol.quic.client import ClientSettings, connect
from runtara_protocol.quic.error import ConnectionLost
from runtara_protocol.quic.stream import Stream
from runtara_sdk import Client, Settings
from runtara_sdk.client.liveness import Liveness


async def test_a_server_that_is_gone_without_a_word_is_left(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """Killed and started again, it would never answer on the old connection."""
    server.script("checkpoint", be_silent, be_silent)
    server.script("nothing", be_silent)

    async with Client(settings(request_timeout_ms=900)) as client:
        await asyncio.gather(client.checkpoint("step-1", b""), client.checkpoint("step-2", b""))

    assert len(server.connections) == 2


@pytest.mark.parametrize("life", [refuse("EMPTY_REQUEST"), reset], ids=["answered", "reset"])
async def test_a_slow_server_that_lives_is_waited_for(
    server: FakeServer, settings: Callable[..., Settings], life: Act
) -> None:
    """Any answer to the empty request counts."""
    asked_for_nothing, may_answer = asyncio.Event(), asyncio.Event()

    async def show_life(stream: Stream) -> None:
        await life(stream)
        asked_for_nothing.set()

    async def answer_late(stream: Stream) -> None:
        await may_answer.wait()
        await reply(DEFAULTS["checkpoint"])(stream)

    server.script("checkpoint", answer_late)
    server.script("nothing", show_life)

    async with Client(settings(request_timeout_ms=3000)) as client:
        slow = asyncio.create_task(client.checkpoint("step-1", b""))
        await asked_for_nothing.wait()
        # Its answer tells that the sign of life has arrived as well.
        await client.get_status()
        may_answer.set()
        await slow

    assert len(server.connections) == 1


async def test_a_connection_lost_while_it_is_checked_is_simply_lost(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The call is repeated on the next."""
    server.script("checkpoint", be_silent)
    server.script("nothing", hang_up)

    async with Client(settings(request_timeout_ms=3000)) as client:
        await client.checkpoint("step-1", b"")

    assert len(server.connections) == 2


async def test_a_check_ends_with_the_connection_it_checks(server: FakeServer) -> None:
    """Either of the two may notice the loss first."""
    server.script("nothing", hang_up)

    async with server.listen() as listener:
        host, port = listener.address
        connection = await connect(ClientSettings(host=host, port=port, verify=False))
        with Liveness(3).doubted(connection):
            await server.gone.get()
            with pytest.raises(ConnectionLost):
                await connection.exchange(b"")

    assert connection.is_closed
