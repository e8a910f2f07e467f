"""Every kind of database that the suites run on, opened empty."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contract.database import Database, MemoryDatabase, SqliteDatabase
from tests.contract.postgres import PostgresDatabase
from tests.support import postgres
from tests.support.sqlite import migrated_file

KINDS = ("memory", "sqlite", "postgres")


@asynccontextmanager
async def empty(kind: str, folder: Path) -> AsyncIterator[Database]:
    """Give an empty database of this kind; a file of it lies in the folder."""
    match kind:
        case "memory":
            yield MemoryDatabase()
        case "sqlite":
            async with _closed(SqliteDatabase(migrated_file(folder / "x.db"))) as opened:
                yield opened
        case _:
            with postgres.migrated_database() as url:
                async with _closed(PostgresDatabase(url)) as opened:
                    yield opened


@asynccontextmanager
async def _closed(database: Database) -> AsyncIterator[Database]:
    try:
        yield database
    finally:
        await database.close()
