"""Bringing a PostgreSQL database up to date."""

from collections.abc import Sequence
from typing import TypeAlias

import asyncpg

from runtara_migrations.adopt import check_adoptable
from runtara_migrations.ledger import Entry, Migration, MigrationError, packaged, pending

# In quotes: generic only to the type checker.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_LOCK = 0x72756E74617261
"""The key of the advisory lock: "runtara" in bytes."""

_NO_TIMEOUTS = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"
_HAS_TABLE = "SELECT to_regclass($1) IS NOT NULL"
_CREATE_LEDGER = """
CREATE TABLE runtara_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""
_READ_LEDGER = "SELECT version, name, checksum FROM runtara_migrations ORDER BY version"
_READ_RUST_LEDGER = "SELECT version, success FROM _sqlx_migrations"
_RECORD = "INSERT INTO runtara_migrations (version, name, checksum) VALUES ($1, $2, $3)"


async def run_postgres(
    pool: Pool, migrations: Sequence[Migration] | None = None
) -> tuple[str, ...]:
    """
    Apply what the database has not had yet, and tell the names of it.

    Any number of processes may do so at once: each migration is applied by one of them, the others
    wait. A database of the Rust server 1.4.1 is adopted: it counts as having had the first. Takes
    the migrations that come with this program unless others are given. A failing one is rolled
    back; those before it stay. Raises MigrationError, or the driver's error if the database can't
    be asked.
    """
    known = packaged("postgres") if migrations is None else migrations
    applied: list[str] = []
    async with pool.acquire() as connection:
        while (name := await _apply_next(connection, known)) is not None:
            applied.append(name)
    return tuple(applied)


async def _apply_next(connection: _Connection, known: Sequence[Migration]) -> str | None:
    async with connection.transaction():
        await connection.execute(_NO_TIMEOUTS)
        # Held until the transaction ends, so that it works through a pooler of connections too.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        waiting = pending(known, await _applied(connection, known))
        if not waiting:
            return None
        await _apply(connection, waiting[0])
        return waiting[0].name


async def _applied(connection: _Connection, known: Sequence[Migration]) -> list[Entry]:
    # Asked first: to create a table "if not exists" takes a right, whether it exists or not.
    if await connection.fetchval(_HAS_TABLE, "runtara_migrations"):
        return [Entry(*row) for row in await connection.fetch(_READ_LEDGER)]
    await connection.execute(_CREATE_LEDGER)
    if not await connection.fetchval(_HAS_TABLE, "_sqlx_migrations"):
        return []
    rust_made = await connection.fetch(_READ_RUST_LEDGER)
    check_adoptable({row["version"]: row["success"] for row in rust_made})
    await _record(connection, known[0])
    return [known[0].entry]


async def _apply(connection: _Connection, migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"Migration {migration.name} failed: {error}") from error
    await _record(connection, migration)


async def _record(connection: _Connection, migration: Migration) -> None:
    entry = migration.entry
    await connection.execute(_RECORD, entry.version, entry.name, entry.checksum)
