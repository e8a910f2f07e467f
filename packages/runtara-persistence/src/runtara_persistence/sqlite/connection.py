"""Connections with the settings that durability needs, and checks that their files still exist."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock
from typing import TypeAlias

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.location import MEMORY

_FULL = 2
_PAUSE = 0.01
_LARGEST_LOG = 64 << 20
"""Bytes to which the log is cut when it begins anew, after a long reader has let it grow."""
_COARSE = 20_000_000
"""Nanoseconds within which a folder may change twice without a change of its time."""
_CHUNK = 64
"""Rows that aiosqlite's cursors fetch at a time."""

_Folder: TypeAlias = tuple[int, int, int]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def connected(
    path: str, lock_timeout: float
) -> AsyncIterator[tuple[aiosqlite.Connection, sqlite3.Connection]]:
    """
    Open a connection that begins no transaction by itself: aiosqlite's, and sqlite3's inside it.

    aiosqlite opens, sets up and closes the connection. In between, steps use sqlite3's connection
    directly: with aiosqlite each statement would be one trip to its thread, because aiosqlite can't
    run a whole function there.
    """
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        made.append(
            sqlite3.connect(
                path, isolation_level=None, timeout=lock_timeout, check_same_thread=False
            )
        )
        return made[0]

    async with aiosqlite.Connection(connect, iter_chunk_size=_CHUNK) as connection:
        yield connection, made[0]


async def set_up_writer(connection: aiosqlite.Connection, path: str, lock_timeout: float) -> None:
    """Make commits durable; raises DatabaseError if SQLite doesn't take a setting."""
    await _write_ahead(connection, lock_timeout)
    # A database in memory has no write-ahead log.
    await _expect(connection, "journal_mode", "memory" if path == MEMORY else "wal")
    await connection.execute_fetchall("PRAGMA synchronous = FULL")
    await _expect(connection, "synchronous", _FULL)
    await connection.execute_fetchall("PRAGMA foreign_keys = ON")
    await _expect(connection, "foreign_keys", 1)
    await connection.execute_fetchall(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
    await _expect(connection, "journal_size_limit", _LARGEST_LOG)


async def set_up_reader(connection: aiosqlite.Connection) -> None:
    """Keep a connection from writing; raises DatabaseError if SQLite doesn't take the setting."""
    await connection.execute_fetchall("PRAGMA query_only = ON")
    await _expect(connection, "query_only", 1)


class Files:
    """
    The files that a database's connections have open; it finds out if one of them has gone.

    SQLite goes on writing to a file that was deleted, renamed or replaced, without an error. What
    it writes there is lost when the last connection closes. Create it once the connections are
    open. It may be used in any thread.
    """

    def __init__(self, path: str) -> None:
        # SQLite's names: its log lies beside the real file, also if a link led to that.
        real = os.path.realpath(path)
        self.log_path = f"{real}-wal"
        paths = (os.path.abspath(path), self.log_path, f"{real}-shm")
        self._opened = [(each, _identity(os.stat(each))) for each in paths]
        self._folders = list(dict.fromkeys(os.path.dirname(each) for each in paths))
        self._settled: list[_Folder] | None = None
        self._lost = ""
        self._lock = Lock()

    @property
    def is_lost(self) -> bool:
        """Return whether a file had gone at the last check."""
        return bool(self._lost)

    def check(self) -> None:
        """Raise DatabaseError if a file isn't the one that was opened; log it the first time."""
        lost = self._find_lost()
        if lost != self._lost:
            self._tell(lost)
        if lost:
            raise DatabaseError(lost)

    def _find_lost(self) -> str:
        # Asking for the folder saves asking for three files at each commit: a file that comes, goes
        # or is renamed changes its folder.
        try:
            folders = [_folder(os.stat(each)) for each in self._folders]
        except OSError as error:
            return f"the folder of {self._opened[0][0]} was deleted or renamed: {error.strerror}"
        if folders == self._settled:
            return ""
        lost = self._look_at_each()
        # A folder's time is coarse: a change just after this check may not show in it.
        is_settled = all(time.time_ns() - changed > _COARSE for _, _, changed in folders)
        self._settled = folders if is_settled and not lost else None
        return lost

    def _look_at_each(self) -> str:
        for path, opened in self._opened:
            try:
                found = os.stat(path)
            except OSError as error:
                return f"{path} was deleted or renamed: {error.strerror}"
            if _identity(found) != opened:
                return f"{path} was replaced by another file"
        return ""

    def _tell(self, lost: str) -> None:
        with self._lock:
            if lost == self._lost:
                return
            self._lost = lost
        if lost:
            _log.error(
                "database files are gone: nothing is stored or read until they are back",
                extra={"reason": lost, "still_open_as": f"/proc/{os.getpid()}/fd"},
            )
        else:
            _log.info("database files are back")


async def _write_ahead(connection: aiosqlite.Connection, lock_timeout: float) -> None:
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # If another process is just opening the file, SQLite fails at once, without waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _expect(connection: aiosqlite.Connection, pragma: str, needed: str | int) -> None:
    [[actual]] = await connection.execute_fetchall(f"PRAGMA {pragma}")
    if actual != needed:
        raise DatabaseError(
            f"SQLite's {pragma} takes {needed}, but stays {actual}: put the file on a local disk"
        )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _folder(found: os.stat_result) -> _Folder:
    return found.st_dev, found.st_ino, found.st_ctime_ns
