"""What a step that failed or was cancelled leaves to the next step on its connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from tests.support import postgres

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.connection import Connection
from runtara_persistence.postgres.persistence import PostgresPersistence

IS_THERE = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)"
SLEEPS = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    async with PostgresPersistence(url, pool_size=1, patience=0.5) as persistence:
        yield persistence


@pytest.fixture
async def stranger(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def used(persistence: PostgresPersistence, statement: str = "SELECT 1") -> int:
    """Run a statement in a transaction of its own; return the id of its connection's process."""

    async def work(connection: Connection) -> int:
        async with connection.transaction():
            await connection.execute(statement)
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
        return backend

    return await persistence._database.run("try", work, is_repeatable=False)


async def test_a_cancelled_statement_ends_before_its_connection_is_used_again(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    backend = await used(persistence)
    asleep = asyncio.create_task(used(persistence, "SELECT pg_sleep(600)"))
    while not await stranger.fetchval(SLEEPS, backend):
        pass
    asleep.cancel()
    await asyncio.wait([asleep])

    assert asleep.cancelled()
    assert await used(persistence) == backend


async def test_a_failed_step_leaves_its_connection_to_the_next(
    persistence: PostgresPersistence,
) -> None:
    backend = await used(persistence)
    with pytest.raises(DatabaseError, match="division by zero"):
        await used(persistence, "SELECT 1 / 0")
    assert await used(persistence) == backend


async def test_a_step_whose_begin_is_refused_leaves_its_connection_to_the_next(
    persistence: PostgresPersistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver counts such a transaction as begun, until the pool resets the connection."""
    execute = asyncpg.Connection.execute

    async def refused(self: Any, query: str, *given: Any, **options: Any) -> object:
        if query.startswith("BEGIN"):
            raise asyncpg.OutOfMemoryError("out of memory")
        return await execute(self, query, *given, **options)

    backend = await used(persistence)
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "execute", refused)
        with pytest.raises(DatabaseError, match="out of memory"):
            await used(persistence)
    assert await used(persistence) == backend


async def test_a_closed_database_leaves_no_connection(
    url: str, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with PostgresPersistence(url) as persistence:
        backend = await used(persistence)
    while await stranger.fetchval(IS_THERE, backend):
        pass
