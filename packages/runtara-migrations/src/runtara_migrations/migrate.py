"""Bring a database up to date: by an open connection, or by URL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aiosqlite
import asyncpg
from asyncpg.connect_utils import SessionAttribute

from runtara_migrations import location
from runtara_migrations.ledger import Entry, Migration, MigrationError, packaged, pending
from runtara_migrations.location import PostgresLocation
from runtara_migrations.postgres import run_postgres

_LOCK_TIMEOUT = 30.0
"""Seconds to wait for others who migrate, or use, the same database."""

_CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS runtara_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""
_READ_LEDGER = "SELECT version, name, checksum FROM runtara_migrations ORDER BY version"
_RECORD = "INSERT INTO runtara_migrations (version, name, checksum) VALUES (?, ?, ?)"
_FIND_LEDGERS = (
    "SELECT name FROM sqlite_master WHERE name IN ('runtara_migrations', '_sqlx_migrations')"
)


async def migrate(url: str) -> tuple[str, ...]:
    """
    Bring the database up to date, and tell what was applied.

    A SQLite file and its folder are created if missing, a PostgreSQL database is not. Raises
    InvalidLocation for a URL it doesn't take, MigrationError when it could not be done.
    """
    place = location.parse(url)
    if isinstance(place, PostgresLocation):
        return await _migrate_postgres(place)
    return await _migrate_sqlite(place.path)


async def _migrate_postgres(place: PostgresLocation) -> tuple[str, ...]:
    try:
        async with asyncpg.create_pool(
            place.url, min_size=1, max_size=1, target_session_attrs=SessionAttribute.read_write
        ) as pool:
            return await run_postgres(pool)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise MigrationError(f"{place.shown}: it takes no writes: name the primary") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"{place.shown}: {str(error) or type(error).__name__}") from error


async def _migrate_sqlite(path: str) -> tuple[str, ...]:
    try:
        await asyncio.to_thread(location.create_missing, path)
        async with aiosqlite.connect(
            path, isolation_level=None, timeout=_LOCK_TIMEOUT
        ) as connection:
            return await run_sqlite(connection)
    except (OSError, sqlite3.Error) as error:
        raise MigrationError(f"{path}: {error}") from error


async def run_sqlite(
    connection: aiosqlite.Connection, migrations: Sequence[Migration] | None = None
) -> tuple[str, ...]:
    """
    Apply what the database has not had yet, and tell the names of it.

    Any number of processes may do so at once: each migration is applied by one of them. Takes the
    migrations that come with this program unless others are given. A failing one is rolled back;
    those before it stay. Raises MigrationError, or sqlite3.Error if the database can't be asked.
    """
    known = packaged("sqlite") if migrations is None else migrations
    applied: list[str] = []
    while await _waiting(connection, known):
        async with _transaction(connection):
            # Again, now that no other process can be at it.
            for migration in (await _waiting(connection, known))[:1]:
                await _apply(connection, migration)
                applied.append(migration.name)
    return tuple(applied)


async def _waiting(
    connection: aiosqlite.Connection, known: Sequence[Migration]
) -> Sequence[Migration]:
    ledgers = {name for (name,) in await connection.execute_fetchall(_FIND_LEDGERS)}
    if "_sqlx_migrations" in ledgers:
        raise MigrationError(
            "This SQLite file was made by the Rust server (it has a table _sqlx_migrations) and"
            " cannot be taken over: name another file"
        )
    if not ledgers:
        return known
    rows = await connection.execute_fetchall(_READ_LEDGER)
    return pending(known, [Entry(*row) for row in rows])


@asynccontextmanager
async def _transaction(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    # The write lock from the start: it is what makes others wait their turn, and it honours the
    # busy timeout, which a reader that becomes a writer does not.
    await connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        await connection.execute("COMMIT")
    except BaseException:
        # A full disk, for one, has rolled back already.
        if connection.in_transaction:
            await connection.execute("ROLLBACK")
        raise


async def _apply(connection: aiosqlite.Connection, migration: Migration) -> None:
    await connection.execute(_CREATE_LEDGER)
    try:
        for statement in _statements(migration.sql):
            await connection.execute(statement)
    except sqlite3.Error as error:
        raise MigrationError(f"Migration {migration.name} failed: {error}") from error
    entry = migration.entry
    await connection.execute(_RECORD, (entry.version, entry.name, entry.checksum))


def _statements(sql: str) -> Iterator[str]:
    # Not executescript: it commits the transaction it finds.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
