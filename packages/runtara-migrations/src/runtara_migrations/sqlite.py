"""Bringing a SQLite database up to date."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import aiosqlite

from runtara_migrations.ledger import Entry, Migration, MigrationError, packaged, pending

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
