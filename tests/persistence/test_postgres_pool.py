"""When the pool opens another connection, and what a new connection asks of the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.postgres import connection
from runtara_persistence.postgres import pool as pools
from runtara_persistence.postgres.connection import Connection
from runtara_persistence.postgres.persistence import PostgresPersistence
from runtara_persistence.postgres.pool import Pool

LONG = 600.0
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'runtara' AND datname = current_database()
"""
IS_THERE = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)"
SLEEPS = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def stranger(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step waits for long enough to have another connection opened, unless a test says so."""
    monkeypatch.setattr(pools, "_FEW", 2)
    monkeypatch.setattr(pools, "_OPENING", LONG)


class Steps:
    """Steps on a pool, each of which ends when it is told to."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.begun: list[str] = []
        self._over: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[int]] = {}

    async def add(self, *names: str, waiting: int = 0) -> None:
        """Let steps come, one after the other; so many of the last ones are to wait."""
        for number, name in enumerate(names):
            self._over[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._step(name))
            if number < len(names) - waiting:
                await self.until_begun(name)
            else:
                await asyncio.sleep(0)

    async def let_end(self, name: str) -> None:
        self._over[name].set()
        await asyncio.sleep(0)

    async def end(self, name: str) -> int:
        """End a step; return the id of its connection's process."""
        self._over[name].set()
        backend = await self._tasks[name]
        await asyncio.sleep(0)
        return backend

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])

    async def until_begun(self, name: str) -> None:
        async with asyncio.timeout(30):
            while name not in self.begun:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def _step(self, name: str) -> int:
        async with self.pool.acquire() as connection:
            self.begun.append(name)
            await self._over[name].wait()
            return backend_of(connection)


def backend_of(connection: Connection) -> int:
    return connection.get_server_pid()


async def used(pool: Pool) -> int:
    """Use a connection for a moment; return the id of its process."""
    async with pool.acquire() as connection:
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
        return backend


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    pool = Pool(lambda: asyncpg.connect(url), most=3)
    yield pool
    await pool.close(30)


@pytest.fixture
async def steps(pool: Pool) -> Steps:
    return Steps(pool)


async def test_a_step_takes_the_connection_of_another_that_has_ended(steps: Steps) -> None:
    await steps.add("a", "b", "c", "d", waiting=2)
    assert steps.begun == ["a", "b"]

    backends = {await steps.end("b"), await steps.end("a")}
    assert steps.begun == ["a", "b", "c", "d"]
    assert {await steps.end("c"), await steps.end("d")} == backends


async def test_a_step_that_has_waited_long_has_another_opened(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But no more than there may be: then it waits for another step's end."""
    monkeypatch.setattr(pools, "_OPENING", 0.001)
    await steps.add("a", "b", "c")
    await steps.add("d", waiting=1)
    with pytest.raises(TimeoutError):
        await steps.pool.take(0.05)
    assert "d" not in steps.begun

    await steps.end("a")
    assert "d" in steps.begun


async def test_a_cancelled_step_leaves_the_line(steps: Steps) -> None:
    """Also one whose turn had just come: the next step gets it."""
    await steps.add("a", "b", "c", "d", "e", waiting=3)
    await steps.cancel("c")
    await steps.end("a")
    assert steps.begun == ["a", "b", "d"]

    await steps.add("f", waiting=1)
    await steps.let_end("b")
    # The cancelled step has not run since its turn came.
    await steps.cancel("e")
    await steps.until_begun("f")


async def test_a_cancelled_statement_ends_before_its_connection_is_used_again(
    pool: Pool, stranger: Connection
) -> None:
    async def step() -> None:
        async with pool.acquire() as connection, connection.transaction():
            told.set_result(backend_of(connection))
            await connection.fetchval("SELECT pg_sleep(600)")

    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asleep = asyncio.create_task(step())
    backend = await told
    while not await stranger.fetchval(SLEEPS, backend):
        pass
    asleep.cancel()
    await asyncio.wait([asleep])

    assert asleep.cancelled()
    assert await used(pool) == backend


async def test_a_failed_step_leaves_its_connection_to_the_next(pool: Pool) -> None:
    backend = await used(pool)
    for statement in ("SELECT 1 / 0", "BEGIN; SELECT 1 / 0", "BEGIN"):
        with suppress(asyncpg.DivisionByZeroError, LookupError):
            async with pool.acquire() as connection:
                await connection.execute(statement)
                raise LookupError
    assert await used(pool) == backend


async def test_a_connection_that_the_server_has_ended_is_not_used(
    pool: Pool, stranger: Connection
) -> None:
    """Also a step that waits opens another one in its place."""
    ended: list[int] = []

    async def end(connection: Connection) -> None:
        ended.append(backend_of(connection))
        await stranger.execute("SELECT pg_terminate_backend($1)", ended[-1])
        async with asyncio.timeout(30):
            while not connection.is_closed():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async with pool.acquire() as idle:
        pass
    await end(idle)
    assert await used(pool) not in ended

    async with pool.acquire(), pool.acquire() as first:
        waiting = asyncio.create_task(used(pool))
        await end(first)
        assert not waiting.done()
    assert await waiting not in ended


async def test_expired_connections_serve_no_other_step(steps: Steps) -> None:
    await steps.add("a", "b")
    idle = await steps.end("b")
    steps.pool.expire()
    await steps.add("c", "d", waiting=1)

    assert await steps.end("a") not in {await steps.end("c"), await steps.end("d")}
    assert idle != await used(steps.pool)


async def test_a_connection_that_no_step_uses_for_long_is_closed(
    pool: Pool, stranger: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_IDLE", 0.01)
    backend = await used(pool)
    while await stranger.fetchval(IS_THERE, backend):
        pass
    assert await used(pool) != backend


async def test_a_connection_that_cannot_be_opened_leaves_its_place_to_the_next(url: str) -> None:
    failures = [OSError("refused"), OSError("refused")]

    async def opening() -> Connection:
        await asyncio.sleep(0)
        if failures:
            raise failures.pop()
        return await asyncpg.connect(url)

    pool = Pool(opening, most=1)
    outcomes = await asyncio.gather(*(used(pool) for _ in range(4)), return_exceptions=True)

    assert [type(one) for one in outcomes] == [OSError, OSError, int, int]
    await pool.close(30)


async def test_a_closed_pool_leaves_no_connection(pool: Pool, stranger: Connection) -> None:
    backend = await used(pool)
    await pool.close(30)
    while await stranger.fetchval(IS_THERE, backend):
        pass


async def test_many_quick_steps_need_few_connections(url: str) -> None:
    async with PostgresPersistence(url, pool_size=10) as persistence:
        await asyncio.gather(*(persistence.instances.run_state("i") for _ in range(50)))
        stranger = await asyncpg.connect(url)
        assert await stranger.fetchval(CONNECTIONS) == 2
        await stranger.close()


async def test_no_caller_starves_while_others_use_the_only_connection(url: str) -> None:
    async with PostgresPersistence(url, pool_size=1) as persistence:
        done = [0, 0, 0]

        async def caller(number: int) -> None:
            while min(done) < 10:
                await persistence.instances.run_state("i")
                done[number] += 1

        await asyncio.gather(*map(caller, range(3)))


async def test_what_is_known_of_arrays_is_what_the_server_says(url: str) -> None:
    stranger = await asyncpg.connect(url)
    try:
        ask = stranger._introspect_types  # type: ignore[attr-defined]
        said, _ = await ask(list(connection._ARRAYS), 10)
    finally:
        await stranger.close()

    arrays = {row["oid"]: dict(row) for row in said if row["elemtype"]}
    for type_id in connection._ARRAYS:
        known = connection._array(type_id)
        assert {name: arrays[type_id][name] for name in known} == known


async def test_no_connection_asks_the_server_for_types(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ours, drivers = connection._Connection._introspect_types, asyncpg.Connection._introspect_types  # type: ignore[attr-defined]

    async def of_ours(self: Any, *given: Any) -> object:
        asked.append("ours")
        return await ours(self, *given)

    async def of_the_driver(self: Any, *given: Any) -> object:
        asked.append("driver's")
        return await drivers(self, *given)

    monkeypatch.setattr(connection._Connection, "_introspect_types", of_ours)
    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", of_the_driver)
    async with PostgresPersistence(url) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        write = CheckpointWrite("step", b"")
        await persistence.checkpoints.save(Caller("i"), write, when=WORKING, at=START)
    assert set(asked) == {"ours"}
