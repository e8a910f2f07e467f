"""Opening connections, set up as durability needs them."""

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.location import MEMORY

_FULL = 2


def connect(path: str, lock_timeout: float) -> aiosqlite.Connection:
    """Prepare a connection that begins no transaction by itself; entering it opens it."""
    return aiosqlite.connect(path, isolation_level=None, timeout=lock_timeout)


async def set_up_writer(connection: aiosqlite.Connection, path: str) -> None:
    """Make what is committed durable; raises DatabaseError if SQLite doesn't do as it was told."""
    # A database in memory has no log to write ahead.
    journal = "memory" if path == MEMORY else "wal"
    await _set(connection, "journal_mode", "WAL", expect=journal)
    await _set(connection, "synchronous", "FULL", expect=_FULL)
    await _set(connection, "foreign_keys", "ON", expect=1)


async def set_up_reader(connection: aiosqlite.Connection) -> None:
    """Keep a connection from writing; raises DatabaseError if SQLite doesn't do as it was told."""
    await _set(connection, "query_only", "ON", expect=1)


async def _set(
    connection: aiosqlite.Connection, pragma: str, value: str, *, expect: str | int
) -> None:
    await connection.execute_fetchall(f"PRAGMA {pragma} = {value}")
    [[actual]] = await connection.execute_fetchall(f"PRAGMA {pragma}")
    if actual != expect:
        raise DatabaseError(
            f"SQLite does not take {pragma} = {value}: it stays {actual}, needed is {expect};"
            " put the file on a local disk"
        )
