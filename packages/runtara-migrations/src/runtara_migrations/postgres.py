"""Brings the schema of a PostgreSQL database up to date."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from runtara_migrations.adopt import check_adoptable
from runtara_migrations.ledger import Entry, Migration, MigrationError, packaged, pending

# In quotes: generic only to the type checker.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_LOCK = 0x72756E74617261
"""The key of the advisory lock: "runtara" in bytes."""

_NO_TIMEOUTS = """
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0
"""
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
_HELD = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""Other sessions hold locks on the tables that a migration changes."""

_WAITING = (
    "migration %s waits up to %g s for locks on its tables, which other sessions hold: end long"
    " transactions, see pg_stat_activity"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockWait:
    """
    How many seconds a migration waits for other users of its tables, such as a backup.

    attempt: for one attempt, because later users of the tables wait behind it; it is longer than
    `deadlock_timeout`, after which an autovacuum gives way. pause: between two attempts, in which
    these users go on. total: after this time no new attempt begins.
    """

    attempt: float = 2.0
    pause: float = 5.0
    total: float = 300.0


async def run_postgres(
    pool: Pool,
    migrations: Sequence[Migration] | None = None,
    *,
    lock_wait: LockWait = LockWait(),
) -> tuple[str, ...]:
    """
    Apply the migrations that the database has not had yet, and return their names.

    pool: its connections have no `command_timeout`, which would bound a migration and its commit.
    migrations: None stands for the migrations of this program. Any number of processes may call
    this at once: one of them applies each migration, and the others wait. In a database of the Rust
    server 1.4.1 the first migration counts as applied. A failing migration is rolled back, and the
    migrations before it stay. Raises MigrationError, also if other sessions hold the tables for
    longer than `lock_wait` allows, or the driver's error if the database can't be read.
    """
    known = packaged("postgres") if migrations is None else migrations
    applied: list[str] = []
    async with pool.acquire() as connection:
        while (name := await _apply_next(connection, known, lock_wait)) is not None:
            applied.append(name)
    return tuple(applied)


async def missing_postgres(pool: Pool) -> tuple[str, ...]:
    """
    Return the names of the migrations of this program that the database lacks; changes nothing.

    Raises MigrationError if the database has had other migrations in their place, or the driver's
    error if the database can't be read.
    """
    known = packaged("postgres")
    async with pool.acquire() as connection:
        try:
            applied = [Entry(*row) for row in await connection.fetch(_READ_LEDGER)]
        except asyncpg.UndefinedTableError:
            applied = []
    return tuple(migration.name for migration in pending(known, applied))


async def check_postgres(pool: Pool) -> None:
    """
    Raise MigrationError if the database lacks a migration of this program; changes nothing.

    The error names the first such migration. Raises the driver's error if the database can't be
    read.
    """
    if missing := await missing_postgres(pool):
        raise MigrationError(
            f"the database lacks migration {missing[0]}: start the newest server on it, which"
            " applies missing migrations, or run `python -m runtara_migrations URL`"
        )


async def _apply_next(
    connection: _Connection, known: Sequence[Migration], lock_wait: LockWait
) -> str | None:
    async with connection.transaction():
        await connection.execute(_NO_TIMEOUTS)
        # A lock of the transaction, not of the session, also works through a connection pooler.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        waiting = pending(known, await _applied(connection, known))
        if not waiting:
            return None
        await _apply(connection, waiting[0], lock_wait)
        return waiting[0].name


async def _applied(connection: _Connection, known: Sequence[Migration]) -> list[Entry]:
    # CREATE TABLE IF NOT EXISTS needs the right to create tables even if the table exists.
    if await connection.fetchval(_HAS_TABLE, "runtara_migrations"):
        return [Entry(*row) for row in await connection.fetch(_READ_LEDGER)]
    await connection.execute(_CREATE_LEDGER)
    if not await connection.fetchval(_HAS_TABLE, "_sqlx_migrations"):
        return []
    rust_made = await connection.fetch(_READ_RUST_LEDGER)
    check_adoptable({row["version"]: row["success"] for row in rust_made})
    await _record(connection, known[0])
    return [known[0].entry]


async def _apply(connection: _Connection, migration: Migration, lock_wait: LockWait) -> None:
    time = asyncio.get_running_loop().time
    deadline = time() + lock_wait.total
    is_told = False
    while not await _is_applied(connection, migration, lock_wait):
        if time() + lock_wait.pause > deadline:
            raise MigrationError(
                f"Migration {migration.name} failed: other sessions held locks on its tables for"
                f" {lock_wait.total:g} s; end long transactions and backups (in pg_stat_activity,"
                " those with the oldest xact_start), and start again"
            )
        if not is_told:
            _log.warning(_WAITING, migration.name, lock_wait.total)
            is_told = True
        await asyncio.sleep(lock_wait.pause)
    await _record(connection, migration)


async def _is_applied(connection: _Connection, migration: Migration, lock_wait: LockWait) -> bool:
    try:
        # A savepoint: the advisory lock stays held, so that only one process at a time tries.
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {int(lock_wait.attempt * 1000)}")
            await _lock_out_servers(connection)
            await connection.execute(migration.sql)
    except _HELD:
        return False
    except asyncpg.PostgresError as error:
        raise MigrationError(f"Migration {migration.name} failed: {in_one_line(error)}") from error
    return True


async def _lock_out_servers(connection: _Connection) -> None:
    # Each step of a server locks this table. A migration that locks its tables one by one could
    # wait for a step that waits for the migration.
    if await connection.fetchval(_HAS_TABLE, "instances"):
        await connection.execute("LOCK TABLE instances IN ACCESS EXCLUSIVE MODE")


async def _record(connection: _Connection, migration: Migration) -> None:
    entry = migration.entry
    await connection.execute(_RECORD, entry.version, entry.name, entry.checksum)


def in_one_line(error: BaseException) -> str:
    """Return an error's text in one line: PostgreSQL's message, with its detail and hint if any."""
    return " ".join(str(error).split()) or type(error).__name__
