"""Opening connections, set up as durability needs them."""

import asyncio
import sqlite3
import time

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.location import MEMORY

_FULL = 2
_PAUSE = 0.01
_LARGEST_LOG = 64 << 20
"""Bytes that the log keeps when it begins anew, however far a long reader has let it grow."""


def connect(path: str, lock_timeout: float) -> aiosqlite.Connection:
    """Prepare a connection that begins no transaction by itself; entering it opens it."""
    return aiosqlite.connect(path, isolation_level=None, timeout=lock_timeout)


async def set_up_writer(connection: aiosqlite.Connection, path: str, lock_timeout: float) -> None:
    """Make what is committed durable; raises DatabaseError if SQLite doesn't do as it was told."""
    await _write_ahead(connection, lock_timeout)
    # A database in memory has no log to write ahead.
    await _expect(connection, "journal_mode", "memory" if path == MEMORY else "wal")
    await connection.execute_fetchall("PRAGMA synchronous = FULL")
    await _expect(connection, "synchronous", _FULL)
    await connection.execute_fetchall("PRAGMA foreign_keys = ON")
    await _expect(connection, "foreign_keys", 1)
    await connection.execute_fetchall(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
    await _expect(connection, "journal_size_limit", _LARGEST_LOG)


async def set_up_reader(connection: aiosqlite.Connection) -> None:
    """Keep a connection from writing; raises DatabaseError if SQLite doesn't do as it was told."""
    await connection.execute_fetchall("PRAGMA query_only = ON")
    await _expect(connection, "query_only", 1)


async def _write_ahead(connection: aiosqlite.Connection, lock_timeout: float) -> None:
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Changing the journal, SQLite fails at once when others who open the file are ahead.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _expect(connection: aiosqlite.Connection, pragma: str, needed: str | int) -> None:
    [[actual]] = await connection.execute_fetchall(f"PRAGMA {pragma}")
    if actual != needed:
        raise DatabaseError(
            f"SQLite does not take {pragma} as it must be: it is {actual}, needed is {needed};"
            " put the file on a local disk"
        )
