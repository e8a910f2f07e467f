from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.database import Database, MemoryDatabase, SqliteDatabase
from tests.contract.postgres import PostgresDatabase
from tests.support import postgres
from tests.support.clock import FrozenClock
from tests.support.sqlite import migrated_file

from runtara_domain.ports.persistence import Persistence


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    match request.param:
        case "memory":
            yield MemoryDatabase()
        case "sqlite":
            yield SqliteDatabase(migrated_file(tmp_path / "x.db"))
        case _:
            with postgres.migrated_database() as url:
                opened = PostgresDatabase(url)
                yield opened
                await opened.close()


@pytest.fixture
async def persistence(database: Database) -> AsyncIterator[Persistence]:
    async with database.connect() as persistence:
        yield persistence


@pytest.fixture
async def neighbour(database: Database, persistence: Persistence) -> AsyncIterator[Persistence]:
    """Another adapter to the same database, as another process would open it."""
    async with database.connect() as neighbour:
        yield neighbour


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()
