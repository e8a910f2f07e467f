"""Bring a database up to date: by an open connection, or by URL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aiosqlite

from runtara_migrations import location
from runtara_migrations.ledger import Entry, Migration, MigrationError, packaged, pending

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
_FIND_RUST_LEDGER = "SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'"


async def migrate(url: str) -> tuple[str, ...]:
    """
    Bring the database up to date, creating it and its folder if missing; tell what was applied.

    Raises InvalidLocation for a URL it doesn't take, MigrationError when it could not be done.
    """
    path = location.parse(url).path
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
    while (name := await _apply_next(connection, known)) is not None:
        applied.append(name)
    return tuple(applied)


async def _apply_next(connection: aiosqlite.Connection, known: Sequence[Migration]) -> str | None:
    async with _transaction(connection):
        await _refuse_rust_made(connection)
        await connection.execute(_CREATE_LEDGER)
        rows = await connection.execute_fetchall(_READ_LEDGER)
        waiting = pending(known, [Entry(*row) for row in rows])
        if not waiting:
            return None
        await _apply(connection, waiting[0])
        return waiting[0].name


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


async def _refuse_rust_made(connection: aiosqlite.Connection) -> None:
    if await connection.execute_fetchall(_FIND_RUST_LEDGER):
        raise MigrationError(
            "This SQLite file was made by the Rust server (it has a table _sqlx_migrations) and"
            " cannot be taken over: name another file"
        )


async def _apply(connection: aiosqlite.Connection, migration: Migration) -> None:
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
