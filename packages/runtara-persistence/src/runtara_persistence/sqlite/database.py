"""The open database: steps that write, steps that read, and errors in our words."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import MEMORY, create_missing
from runtara_migrations.sqlite import run_sqlite
from runtara_persistence.sqlite.connection import connect, set_up_reader, set_up_writer
from runtara_persistence.sqlite.failure import explain
from runtara_persistence.sqlite.gathering import Gathering
from runtara_persistence.sqlite.group_commit import Step, commit_together, read_each

T = TypeVar("T")


class Database:
    """One SQLite file, through a connection that writes and one that reads."""

    def __init__(self, path: str, *, lock_timeout: float) -> None:
        self._path = path
        self._log_path: str | None = None
        self._lock_timeout = lock_timeout
        # Not those that read: some take long, and have a CPU of their own for it.
        self._writes = Gathering(commit_together, follows_loop=True)
        self._reads = Gathering(read_each)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """
        Bring the schema up to date and take steps; finish those under way at the end.

        Raises DatabaseError if it can't be opened.
        """
        async with AsyncExitStack() as stack:
            writer, reader = await self._connect(stack)
            self._writes.opened(writer)
            stack.push_async_callback(self._writes.close)
            self._reads.opened(reader)
            stack.push_async_callback(self._reads.close)
            yield

    @property
    def log_path(self) -> str | None:
        """The file that every commit of any process goes to; None for a database in memory."""
        return self._log_path

    async def write(
        self, attempt: str, step: Step[T], *, then: Callable[[T], None] | None = None
    ) -> T:
        """
        Carry out a step in a transaction; what it did is durable when this returns.

        then: called with the outcome once it is durable, even if the caller was cancelled.
        """
        try:
            return await self._writes.run(step, then=then)
        except sqlite3.Error as error:
            raise explain(attempt, self._path, error) from error

    async def read(self, attempt: str, step: Step[T]) -> T:
        """Carry out a step that only reads; it sees what was committed before."""
        try:
            return await self._reads.run(step)
        except sqlite3.Error as error:
            raise explain(attempt, self._path, error) from error

    async def _connect(
        self, stack: AsyncExitStack
    ) -> tuple[aiosqlite.Connection, aiosqlite.Connection]:
        attempt = "open the database"
        try:
            await asyncio.to_thread(create_missing, self._path)
            writer = await self._open_writer(stack)
            return writer, await self._open_reader(stack, writer)
        except sqlite3.Error as error:
            raise explain(attempt, self._path, error) from error
        except (MigrationError, OSError) as error:
            raise DatabaseError(f"Failed to {attempt} in {self._path}: {error}") from error

    async def _open_writer(self, stack: AsyncExitStack) -> aiosqlite.Connection:
        writer = await stack.enter_async_context(connect(self._path, self._lock_timeout))
        # First: a file that is refused is left as it was.
        await run_sqlite(writer)
        await set_up_writer(writer, self._path, self._lock_timeout)
        return writer

    async def _open_reader(
        self, stack: AsyncExitStack, writer: aiosqlite.Connection
    ) -> aiosqlite.Connection:
        if self._path == MEMORY:
            # A second connection would open another database. Sharing its cache would bring locks
            # on tables, which don't honour the timeout; the writer's thread does one at a time.
            return writer
        reader = await stack.enter_async_context(connect(self._path, self._lock_timeout))
        await set_up_reader(reader)
        self._log_path = _log_of(self._path)
        return reader


def _log_of(path: str) -> str:
    # As SQLite names it: beside the file itself, wherever a link to it may lie.
    return f"{os.path.realpath(path)}-wal"
