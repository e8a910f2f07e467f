"""Bringing the schema of a SQLite database up to date."""

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
    Apply the migrations that the database has not had yet, and return their names.

    migrations: None stands for the migrations of this program. Any number of processes may call
    this at once: one of them applies each migration. A failing migration is rolled back, and the
    migrations before it stay. Raises MigrationError, or sqlite3.Error if the database can't be
    read.
    """
    known = packaged("sqlite") if migrations is None else migrations
    applied: list[str] = []
    while await _waiting(connection, known):
        async with _transaction(connection):
            # Read again: in this transaction no other process can apply one.
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
            "This SQLite file was made by the Rust server (it has a table _sqlx_migrations), and"
            " can't be taken over: name another file in the URL"
        )
    if not ledgers:
        return known
    rows = await connection.execute_fetchall(_READ_LEDGER)
    return pending(known, [Entry(*row) for row in rows])


@asynccontextmanager
async def _transaction(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    # IMMEDIATE takes the write lock at once, so that other processes wait. Waiting for this lock
    # respects the busy timeout. A reader that becomes a writer would not wait.
    await connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        await connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back already.
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
    # `executescript` would commit the open transaction.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
