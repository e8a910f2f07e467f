"""A PostgreSQL that goes away under load and comes back, and one that may forget."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from tests.server.busy_client import ANSWERED_WITHIN, BusyClient, kept
from tests.server.wire import Wire, all_connected, connected
from tests.support.postgres import PostgresServer, migrated_database
from tests.support.server_process import PATIENCE, ServerProcess, running

from runtara_protocol.pb import instance_pb2 as pb

pytestmark = pytest.mark.usefixtures("unmeasured")

CLIENTS = 8
BACK_WITHIN = 5.0
HOUR_MS = 3_600_000


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to stop as it likes."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def servers(database: PostgresServer, tmp_path: Path) -> AsyncIterator[list[ServerProcess]]:
    """Two servers on it."""
    url = database.url("postgres")
    async with AsyncExitStack() as stack:
        one = running(tmp_path, RUNTARA_DATABASE_URL=url, RUNTARA_DB_POOL_SIZE="4")
        two = running(tmp_path, RUNTARA_DATABASE_URL=url, RUNTARA_DB_POOL_SIZE="4")
        yield [await stack.enter_async_context(each) for each in (one, two)]


async def sleep(wire: Wire, instance_id: str, duration_ms: int) -> pb.RpcResponse:
    message = pb.SleepRequest(
        instance_id=instance_id, checkpoint_id="s-1", duration_ms=duration_ms, state=b"asleep"
    )
    return await wire.ask(pb.RpcRequest(sleep=message))


async def poll(wire: Wire, instance_id: str) -> pb.RpcResponse:
    message = pb.PollSignalsRequest(instance_id=instance_id, wait_ms=60_000)
    return await wire.ask(pb.RpcRequest(poll_signals=message))


async def asleep(wire: Wire, instance_id: str) -> None:
    """Wait until a sleep is held."""
    while (await wire.status(instance_id)).status != pb.STATUS_SUSPENDED:
        pass


async def taken(wire: Wire) -> None:
    """Wait until the server has all that was asked on this connection before."""
    await asyncio.create_task(wire.status("anything"))


@pytest.mark.parametrize("seconds", [0, pytest.param(10, marks=pytest.mark.long)])
async def test_a_database_stopped_under_load_is_used_again(
    database: PostgresServer, servers: list[ServerProcess], seconds: float
) -> None:
    """
    Every call ends in success or DATABASE_ERROR within its time, and nothing acknowledged is lost.

    The outage is so long at least that every client was refused.
    """
    processes = [server.process for server in servers]
    async with (
        all_connected([servers[n % 2].port for n in range(CLIENTS)]) as wires,
        asyncio.TaskGroup() as work,
    ):
        clients = [BusyClient(wire, f"i-{n}") for n, wire in enumerate(wires)]
        await asyncio.gather(*(each.wire.register(each.instance_id) for each in clients))
        for client in clients:
            work.create_task(client.work())
        await asyncio.gather(*(client.until_told(20) for client in clients))
        await asyncio.to_thread(database.stop, "immediate")
        # How long it is out is what this is about.
        await asyncio.sleep(seconds)
        await asyncio.gather(*(client.until_refused() for client in clients))
        await asyncio.to_thread(database.start)
        began = time.monotonic()
        await asyncio.gather(*(client.until_told(2) for client in clients))
        took = time.monotonic() - began
        for client in clients:
            client.is_done = True
    saved, told = await kept(database)

    assert took < BACK_WITHIN
    for client in clients:
        assert client.saved <= saved
        assert client.told <= told
    assert [server.process for server in servers] == processes
    for server in servers:
        errors = {entry["event"] for entry in server.log if entry["level"] == "error"}
        assert errors <= {"database failed"}
        events = (entry["event"].partition(":")[0] for entry in server.log)
        about = [event for event in events if event.startswith("the database is")]
        assert about == ["the database is out of reach", "the database is back"]
        assert not any("Traceback" in line for line in server.lines)


async def test_what_waits_while_the_database_is_away_is_woken_afterwards(
    database: PostgresServer, servers: list[ServerProcess]
) -> None:
    """Held polls and sleeps get signals that were put in before there was a listener again."""
    async with all_connected([servers[0].port] * 2 + [servers[1].port] * 2) as wires:
        await asyncio.gather(*(wire.register(f"i-{n}") for n, wire in enumerate(wires)))
        held = [
            asyncio.create_task(each)
            for each in (
                poll(wires[0], "i-0"),
                sleep(wires[1], "i-1", HOUR_MS),
                poll(wires[2], "i-2"),
                sleep(wires[3], "i-3", HOUR_MS),
            )
        ]
        await asyncio.gather(*(taken(wire) for wire in wires))
        await asyncio.gather(*(asleep(wires[n], f"i-{n}") for n in (1, 3)))
        await asyncio.to_thread(database.stop, "immediate")
        for server in servers:
            await server.said("signals not watched: the connection was lost")
        await asyncio.to_thread(database.start)
        statement = (
            "INSERT INTO pending_signals (instance_id, signal_type)"
            " SELECT instance_id, 'cancel' FROM instances"
        )
        await asyncio.to_thread(database.execute, statement)
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*held)

    for poll_answer in (answers[0], answers[2]):
        assert poll_answer.poll_signals.signal.signal_type == pb.SIGNAL_CANCEL
    for sleep_answer in (answers[1], answers[3]):
        assert sleep_answer.HasField("sleep")


async def test_a_sleep_that_ends_while_the_database_is_away_is_over_when_asked_again(
    database: PostgresServer, servers: list[ServerProcess]
) -> None:
    async with connected(servers[0].port) as wire:
        await wire.register("i-1")
        sleeping = asyncio.create_task(sleep(wire, "i-1", 2000))
        await asleep(wire, "i-1")
        await asyncio.to_thread(database.stop, "immediate")
        async with asyncio.timeout(ANSWERED_WITHIN):
            refused = await sleeping
        await asyncio.to_thread(database.start)
        again = await sleep(wire, "i-1", 2000)
        status = await wire.status("i-1")

    assert refused.error.code == "DATABASE_ERROR"
    assert again.HasField("sleep")
    assert status.status == pb.STATUS_RUNNING


async def test_a_database_that_may_forget_is_warned_of_at_start(tmp_path: Path) -> None:
    with migrated_database() as url:
        connection = await asyncpg.connect(url)
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            async with running(tmp_path, RUNTARA_DATABASE_URL=url) as server:
                warned = [entry["event"] for entry in server.log if entry["level"] == "warning"]
        finally:
            await connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
            await connection.close()

    assert (
        "synchronous_commit is off: acknowledged data may be lost if the database server crashes"
    ) in warned
