"""The open database: steps that write, steps that read, and errors in our words."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import MEMORY, create_missing
from runtara_migrations.sqlite import run_sqlite
from runtara_persistence.sqlite.connection import connect, set_up_reader, set_up_writer
from runtara_persistence.sqlite.failure import diagnose, explain, named
from runtara_persistence.sqlite.files import Files
from runtara_persistence.sqlite.gathering import Gathering
from runtara_persistence.sqlite.group_commit import (
    Failed,
    Outcome,
    Step,
    commit_together,
    read_each,
)

T = TypeVar("T")


class Database:
    """One SQLite file, through a connection that writes and one that reads."""

    def __init__(self, path: str, *, lock_timeout: float) -> None:
        self._path = path
        self._files: Files | None = None
        self._lock_timeout = lock_timeout
        self._commits = 0
        # Not those that read: some take long, and have a CPU of their own for it.
        self._writes = Gathering(self._commit_together, follows_loop=True)
        self._reads = Gathering(self._read_each)

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
        return None if self._files is None else self._files.log_path

    @property
    def commits(self) -> int:
        """How many transactions of this process have ended since this was made."""
        return self._commits

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
            diagnose(self._path, error)
            raise explain(attempt, self._path, error) from error
        except OSError as error:
            message = f"Failed to {attempt} in {self._path}: the system says {named(error)}"
            raise DatabaseError(message) from error
        except MigrationError as error:
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
        for connection in (writer, reader):
            # Each opens its log with the first look into the file.
            await connection.execute_fetchall("PRAGMA schema_version")
        self._files = await asyncio.to_thread(Files, self._path)
        return reader

    # In the connections' threads.

    def _commit_together(
        self, connection: sqlite3.Connection, steps: Sequence[Step[Any]]
    ) -> list[Outcome]:
        # Only afterwards it is known where the commit went. Once a file is known to have gone,
        # nothing more is done where nobody would find it.
        is_lost = self._files is not None and self._files.is_lost
        missed = self._missed(steps) if is_lost else []
        outcomes = missed or self._checked(steps, commit_together(connection, steps))
        self._commits += 1
        return outcomes

    def _read_each(
        self, connection: sqlite3.Connection, steps: Sequence[Step[Any]]
    ) -> list[Outcome]:
        return self._checked(steps, read_each(connection, steps))

    def _checked(self, steps: Sequence[Step[Any]], outcomes: list[Outcome]) -> list[Outcome]:
        for outcome in outcomes:
            if isinstance(outcome, Failed) and isinstance(outcome.error, sqlite3.Error):
                diagnose(self._path, outcome.error)
        return self._missed(steps) or outcomes

    def _missed(self, steps: Sequence[Step[Any]]) -> list[Outcome]:
        """Give what becomes of the steps if a file has gone; nothing if all are there."""
        if self._files is None:
            return []
        try:
            self._files.check()
        except DatabaseError as error:
            return [Failed(error)] * len(steps)
        return []
