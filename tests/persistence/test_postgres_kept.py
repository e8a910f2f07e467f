"""A connection goes from one step to the next, and to the pool when there is none."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from tests.support import postgres

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres import kept
from runtara_persistence.postgres.database import Database
from runtara_persistence.postgres.persistence import PostgresPersistence

GENEROUS = 30


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with PostgresPersistence(url) as persistence:
        yield persistence._database


@pytest.fixture
def acquired(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that steps have asked the pool for."""
    asked: list[object] = []
    acquire = asyncpg.Pool.acquire

    def note(pool: Any, **options: Any) -> Any:
        asked.append(pool)
        return acquire(pool, **options)

    monkeypatch.setattr(asyncpg.Pool, "acquire", note)
    return asked


async def backend(database: Database) -> int:
    [row] = await database.read("ask", "SELECT pg_backend_pid() AS pid")
    return int(row["pid"])


async def test_a_step_takes_the_connection_of_the_one_before(
    database: Database, acquired: list[object]
) -> None:
    """Without asking the pool; after an error it asks the pool."""
    first = await backend(database)
    acquired.clear()
    following = {await backend(database) for _ in range(5)}
    asked = len(acquired)
    with pytest.raises(DatabaseError):
        await database.read("fail", "SELECT 1 / 0")
    after = await backend(database)

    assert (following, asked) == ({first}, 0)
    assert (after, len(acquired)) == (first, 1)


async def test_without_steps_the_pool_gets_it_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_UNUSED", 0.01)
    pool = database._require_pool()
    await backend(database)
    async with asyncio.timeout(GENEROUS):
        while not pool.get_idle_size():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert pool.get_size() == pool.get_idle_size() == 1


async def test_one_that_was_closed_meanwhile_is_not_taken(database: Database, url: str) -> None:
    first = await backend(database)
    pool = database._require_pool()
    stranger = await asyncpg.connect(url)
    await stranger.execute("SELECT pg_terminate_backend($1, 10000)", first)
    await stranger.close()
    async with asyncio.timeout(GENEROUS):
        while pool.get_size():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert await backend(database) != first
