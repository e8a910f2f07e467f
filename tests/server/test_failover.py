"""A primary that is gone for good: its standby has all that was acknowledged, and goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.server.busy_client import BusyClient, kept
from tests.server.wire import Wire, all_connected
from tests.support.postgres_pair import Pair, primary_and_standby
from tests.support.server_process import PATIENCE, ServerProcess, running

from runtara_protocol.pb import instance_pb2 as pb

CLIENTS = 8
BACK_WITHIN = 5.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    with primary_and_standby() as pair:
        yield pair


@pytest.fixture
async def servers(pair: Pair, tmp_path: Path) -> AsyncIterator[list[ServerProcess]]:
    """Two servers on it."""
    async with AsyncExitStack() as stack:
        each = [running(tmp_path, RUNTARA_DATABASE_URL=pair.url) for _ in range(2)]
        yield list(await asyncio.gather(*(stack.enter_async_context(one) for one in each)))


async def signalled(wire: Wire, instance_id: str) -> pb.RpcResponse:
    message = pb.PollSignalsRequest(instance_id=instance_id, wait_ms=60_000)
    return await wire.ask(pb.RpcRequest(poll_signals=message))


async def test_a_standby_takes_over_under_load(pair: Pair, servers: list[ServerProcess]) -> None:
    """
    Every call ends in success or DATABASE_ERROR, and nothing acknowledged is lost.

    No server is started again; a poll that waited all
    along returns a signal inserted afterwards.
    """
    processes = [server.process for server in servers]
    ports = [server.port for server in servers]
    async with (
        all_connected([*ports, *(ports[n % 2] for n in range(CLIENTS))]) as wires,
        asyncio.TaskGroup() as work,
    ):
        waiting = [(wire, f"w-{n}") for n, wire in enumerate(wires[:2])]
        clients = [BusyClient(wire, f"i-{n}") for n, wire in enumerate(wires[2:])]
        await asyncio.gather(*(wire.register(name) for wire, name in waiting))
        await asyncio.gather(*(each.wire.register(each.instance_id) for each in clients))
        polls = [work.create_task(signalled(wire, name)) for wire, name in waiting]
        for client in clients:
            work.create_task(client.work())
        await asyncio.gather(*(client.until_told(20) for client in clients))

        pair.primary.kill()
        await asyncio.to_thread(pair.standby.promote)
        began = time.monotonic()
        await asyncio.gather(*(client.until_told(2) for client in clients))
        took = time.monotonic() - began
        for client in clients:
            client.is_done = True
        statement = (
            "INSERT INTO pending_signals (instance_id, signal_type)"
            " SELECT instance_id, 'pause' FROM instances WHERE instance_id LIKE 'w-%'"
        )
        await asyncio.to_thread(pair.standby.execute, statement)
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*polls)
    saved, told = await kept(pair.standby)

    assert took < BACK_WITHIN
    for client in clients:
        assert client.saved <= saved
        assert client.told <= told
    for answer in answers:
        assert answer.poll_signals.signal.signal_type == pb.SIGNAL_PAUSE
    assert [server.process for server in servers] == processes
    for server in servers:
        errors = {entry["event"] for entry in server.log if entry["level"] == "error"}
        assert errors <= {"database failed"}
