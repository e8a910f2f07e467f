"""The open database: executes steps that write or read, and makes methods of such steps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import MEMORY, create_missing
from runtara_migrations.sqlite import run_sqlite
from runtara_persistence.sqlite.connection import Files, connected, set_up_reader, set_up_writer
from runtara_persistence.sqlite.driver_errors import diagnose, explain, named
from runtara_persistence.sqlite.group_commit import Failed, commit_together, read_each
from runtara_persistence.sqlite.step_thread import StepThread, Thread
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions.transaction import Transacting

if TYPE_CHECKING:
    from runtara_persistence.sqlite.group_commit import Outcome, Step
    from runtara_persistence.transactions.transaction import Traits, Transaction

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """
    One SQLite file, through a connection that writes and one that reads.

    watches: called with the ids of the instances for which a step has stored signals.
    """

    def __init__(self, path: str, *, lock_timeout: float) -> None:
        self._path = path
        self._files: Files | None = None
        self._lock_timeout = lock_timeout
        self._commits = 0
        self.watches: list[Callable[[Collection[str]], None]] = []
        # Only the writing thread: some reads take long, and are better on a CPU of their own.
        self._writes = StepThread(
            self._commit_together,
            confirm=self._confirm,
            diagnose=self._diagnose,
            follows_loop=True,
        )
        self._reads = StepThread(read_each, confirm=self._confirm, diagnose=self._diagnose)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """
        Bring the schema up to date and take steps; at the end, finish the steps under way.

        Raises DatabaseError if the database can't be opened.
        """
        async with AsyncExitStack() as stack:
            writer, reader = await self._connect(stack)
            thread = stack.enter_context(Thread("sqlite-write"))
            if reader is writer:
                # A database in memory: a second connection would open another one. Sharing its
                # cache would bring locks on tables, which don't honour the timeout.
                self._writes.opened(writer, thread)
                self._reads.opened(writer, thread)
            else:
                self._writes.opened(writer, thread, lock_timeout=self._lock_timeout)
                reading = stack.enter_context(Thread("sqlite-read"))
                self._reads.opened(reader, reading)
            stack.push_async_callback(self._writes.close)
            stack.push_async_callback(self._reads.close)
            yield

    @property
    def log_path(self) -> str | None:
        """The write-ahead log, to which each process commits; None for a database in memory."""
        return None if self._files is None else self._files.log_path

    @property
    def commits(self) -> int:
        """How many group transactions have ended in this process since this object was made."""
        return self._commits

    async def write(
        self,
        attempt: str,
        step: Step[T],
        *,
        then: Callable[[T], None] | None = None,
        is_small: bool = False,
    ) -> T:
        """
        Carry out a step in a transaction; its effect is durable when this returns.

        then: called with the outcome once it is durable, even if the caller was cancelled.
        is_small: the step reads and writes so little that the event loop may stand still for it.
        """
        try:
            return await self._writes.run(step, then=then, is_small=is_small)
        except sqlite3.Error as error:
            raise explain(attempt, self._path, error) from error

    def tell(self, instance_ids: Collection[str]) -> None:
        """Call the watches for new signals of these instances; the collection may be empty."""
        if instance_ids:
            for watch in list(self.watches):
                watch(instance_ids)

    async def read(self, attempt: str, step: Step[T]) -> T:
        """Carry out a step that only reads; it sees everything that was committed before."""
        try:
            return await self._reads.run(step)
        except sqlite3.Error as error:
            raise explain(attempt, self._path, error) from error

    async def perform(self, attempt: str, begin: Callable[[], Transaction[T]], traits: Traits) -> T:
        """Fits `transactions.transaction.Transactor`: group commits make no difference of these."""
        heard: list[str] = []

        def step(connection: sqlite3.Connection) -> T:
            # The step may have been tried before, in one transaction with other steps.
            heard.clear()
            return run_transaction(connection, begin(), heard)

        if traits.only_reads or traits.reads_much:
            return await self.read(attempt, step)
        return await self.write(attempt, step, then=lambda _: self.tell(heard))

    async def _connect(
        self, stack: AsyncExitStack
    ) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        attempt = "open the database"
        try:
            await asyncio.to_thread(create_missing, self._path)
            writing, writer = await stack.enter_async_context(
                connected(self._path, self._lock_timeout)
            )
            # Migrations come first: they refuse a file that is no database of ours, unchanged.
            await run_sqlite(writing)
            await set_up_writer(writing, self._path, self._lock_timeout)
            return writer, (
                writer if self._path == MEMORY else await self._open_reader(stack, writing)
            )
        except sqlite3.Error as error:
            diagnose(self._path, error)
            raise explain(attempt, self._path, error) from error
        except OSError as error:
            message = f"Failed to {attempt} in {self._path}: the system says {named(error)}"
            raise DatabaseError(message) from error
        except MigrationError as error:
            raise DatabaseError(f"Failed to {attempt} in {self._path}: {error}") from error

    async def _open_reader(
        self, stack: AsyncExitStack, writing: aiosqlite.Connection
    ) -> sqlite3.Connection:
        reading, reader = await stack.enter_async_context(connected(self._path, self._lock_timeout))
        await set_up_reader(reading)
        for connection in (writing, reading):
            # A connection opens the write-ahead log at its first read of the file.
            await connection.execute_fetchall("PRAGMA schema_version")
        self._files = await asyncio.to_thread(Files, self._path)
        return reader

    # In the connection's thread.

    def _commit_together(
        self, connection: sqlite3.Connection, steps: Sequence[Step[Any]]
    ) -> list[Outcome]:
        # Once a file is known to have gone, no step is executed: no reader would find its effect.
        is_lost = self._files is not None and self._files.is_lost
        missed = self._missed(steps) if is_lost else []
        outcomes = missed or commit_together(
            connection, steps, before_commit=self._writes.only_commits
        )
        self._commits += 1
        return outcomes

    def _diagnose(self, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error):
            diagnose(self._path, error)

    # In the event loop.

    def _confirm(self, outcomes: list[Outcome]) -> list[Outcome]:
        # The files are checked after the commit, to know whether it went to them. This is done in
        # the event loop, because the thread would have to release and take the GIL once more.
        return self._missed(outcomes) or outcomes

    def _missed(self, asked: Sequence[object]) -> list[Outcome]:
        """Return a failure for each step if a file has gone; an empty list if all are there."""
        if self._files is None:
            return []
        try:
            self._files.check()
        except DatabaseError as error:
            return [Failed(error)] * len(asked)
        return []


class OnDatabase(Transacting):
    """A class with methods that are steps on a database."""

    _database: Database


Noun = TypeVar("Noun", bound=OnDatabase)
Method: TypeAlias = Callable[Concatenate[Noun, sqlite3.Connection, P], T]
TellingMethod: TypeAlias = Callable[Concatenate[Noun, sqlite3.Connection, list[str], P], T]
AsyncMethod: TypeAlias = Callable[Concatenate[Noun, P], Coroutine[Any, Any, T]]


def read(attempt: str) -> Callable[[Method[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """Make a method of a step that only reads; the step gets the reading connection."""

    def decorate(method: Method[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def reading(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            return await self._database.read(
                attempt, lambda connection: method(self, connection, *args, **options)
            )

        return reading

    return decorate


def write(attempt: str) -> Callable[[Method[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """Make a method of a step in a transaction; the step's effect is durable on return."""

    def decorate(method: Method[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def writing(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            return await self._database.write(
                attempt, lambda connection: method(self, connection, *args, **options)
            )

        return writing

    return decorate


def write_and_tell(
    attempt: str,
) -> Callable[[TellingMethod[Noun, P, T]], AsyncMethod[Noun, P, T]]:
    """
    Like `write`, and tell the watches the ids of instances that the step puts into its list.

    They are told once the step is durable, even if the caller was cancelled.
    """

    def decorate(method: TellingMethod[Noun, P, T]) -> AsyncMethod[Noun, P, T]:
        @wraps(method)
        async def writing(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            told: list[str] = []

            def step(connection: sqlite3.Connection) -> T:
                # The step may have been tried before, in one transaction with other steps.
                told.clear()
                return method(self, connection, told, *args, **options)

            return await self._database.write(
                attempt, step, then=lambda _: self._database.tell(told)
            )

        return writing

    return decorate
