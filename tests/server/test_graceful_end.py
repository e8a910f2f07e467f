"""The graceful end of a server: what is under way is delivered, and nothing is lost."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest
from tests.server.hostile import register
from tests.support.server_process import HOST, PATIENCE, ServerProcess, running

from runtara_conformance.client import Connection, Lost, connect
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    GetCheckpointResponse,
    PollSignalsRequest,
    PollSignalsResponse,
    RpcError,
    SleepRequest,
    SleepResponse,
)

pytestmark = pytest.mark.usefixtures("unmeasured")

GRACE = 10.0
TELLING = [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]]


@asynccontextmanager
async def client_of(server: ServerProcess, *instance_ids: str) -> AsyncIterator[Connection]:
    """Connect, with these registered."""
    async with connect(HOST, server.port) as connection, asyncio.timeout(2 * PATIENCE):
        for instance_id in instance_ids:
            await register(connection, instance_id)
        yield connection


def rows(folder: Path) -> list[tuple[str, str | None, str | None]]:
    """Read how the instances stand: status, deadline, claim."""
    with sqlite3.connect(folder / "core.db") as connection:
        return connection.execute(
            "SELECT status, sleep_until, wake_claim_by FROM instances ORDER BY instance_id"
        ).fetchall()


async def asleep(folder: Path, count: int) -> None:
    """Wait until so many are asleep and claimed: no answer tells."""
    async with asyncio.timeout(PATIENCE):
        while (
            sum(status == "suspended" and by is not None for status, _, by in rows(folder)) < count
        ):
            await asyncio.to_thread(rows, folder)


@pytest.mark.parametrize("signals", TELLING, ids=["once", "twice", "by both"])
async def test_under_load_everything_is_answered_and_what_was_saved_is_there(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    """Sleeps end with their connection, polls empty, and all of it within the grace."""
    ids = [f"i-{number}" for number in range(8)]
    async with running(tmp_path) as server:
        async with client_of(server, *ids) as connection:
            polls = [connection.start(PollSignalsRequest(each, None, 60_000)) for each in ids]
            sleeps = [connection.start(SleepRequest(each, 60_000, "nap")) for each in ids[:4]]
            await asleep(tmp_path, 4)
            saves = [
                connection.start(CheckpointRequest(ids[7], f"c-{number}", b"x" * 10_000))
                for number in range(100)
            ]
            await saves[0].reply()
            began = monotonic()
            for each in signals:
                server.process.send_signal(each)
            saved = [await one.reply() for one in saves]
            polled = [await one.reply() for one in polls]
            slept = [await one.reply() for one in sleeps]
        assert await server.ended() == 0
        assert monotonic() - began < GRACE

        kinds = {one.code if isinstance(one, RpcError) else type(one) for one in saved}
        assert kinds <= {CheckpointResponse, "SHUTTING_DOWN"}
        assert polled == [PollSignalsResponse()] * 8
        assert [type(one) for one in slept] == [Lost] * 4
        assert [(status, by) for status, _, by in rows(tmp_path)] == (
            [("suspended", None)] * 4 + [("running", None)] * 4
        )
        assert not [line for line in server.lines if "Traceback" in line]

        await server.start()
        async with client_of(server) as connection:
            for number, reply in enumerate(saved):
                asked = GetCheckpointRequest(ids[7], f"c-{number}")
                found = await connection.request(asked)
                assert isinstance(found, GetCheckpointResponse)
                assert found.found is isinstance(reply, CheckpointResponse)


async def test_a_sleep_that_was_ended_so_ends_on_time_on_the_next_server(tmp_path: Path) -> None:
    """Only what is left is slept, counted from the first time it was asked for."""
    async with running(tmp_path) as server:
        async with client_of(server, "i-1") as connection:
            began = monotonic()
            sleep = connection.start(SleepRequest("i-1", 3000, "nap"))
            await asleep(tmp_path, 1)
            server.process.send_signal(signal.SIGTERM)
            assert isinstance(await sleep.reply(), Lost)
        assert await server.ended() == 0
        [(status, until, claim)] = rows(tmp_path)
        assert (status, until is not None, claim) == ("suspended", True, None)

        await server.start()
        async with client_of(server, "i-1") as connection:
            again = await connection.request(SleepRequest("i-1", 3000, "nap"))
            took = monotonic() - began

    assert again == SleepResponse()
    assert 2.9 < took < 3 + PATIENCE / 3


async def test_a_server_that_ends_takes_no_new_connection(tmp_path: Path) -> None:
    """It takes no new request on an old one either. Requests under way may finish."""
    async with running(tmp_path) as server:
        async with client_of(server, "i-1") as connection:
            large = connection.raw_stream()
            large.write(b"\x00\x00\x01\x00")
            await connection.request(PollSignalsRequest("i-1"))
            server.process.send_signal(signal.SIGTERM)
            await server.said("shutting down")
            refused = await connection.request(PollSignalsRequest("i-1", None, 60_000))
            assert isinstance(refused, RpcError)
            assert refused.code == "SHUTTING_DOWN"
            with pytest.raises(ConnectionError):
                async with connect(HOST, server.port):
                    pass
            large.reset()
        assert await server.ended() == 0


async def test_a_client_that_keeps_it_waiting_waits_no_longer_than_the_grace(
    tmp_path: Path,
) -> None:
    """Its request never becomes whole."""
    async with (
        running(tmp_path, RUNTARA_SHUTDOWN_GRACE_MS="1000") as server,
        client_of(server, "i-1") as connection,
    ):
        half = connection.raw_stream()
        half.write(b"\x00\x00\x01\x00\x00\x01half")
        await connection.request(CheckpointRequest("i-1", "c-1", b"one"))
        began = monotonic()
        server.process.send_signal(signal.SIGTERM)

        assert await server.ended() == 0
        took = monotonic() - began
    assert 0.9 < took < 1 + PATIENCE / 3
