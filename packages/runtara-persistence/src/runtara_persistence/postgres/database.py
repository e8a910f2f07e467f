"""The open database: executes steps on a pool of connections, and repeats them where safe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeAlias, TypeVar

import asyncpg

from runtara_domain.error import DatabaseError
from runtara_migrations.ledger import MigrationError
from runtara_migrations.postgres import check_postgres, missing_postgres, run_postgres
from runtara_persistence.postgres.connection import SETTINGS, Connection, Opening, check_session
from runtara_persistence.postgres.driver_errors import FAILURES, explain, was_lost, was_rolled_back
from runtara_persistence.postgres.line import Line
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.transactions.transaction import Transacting

if TYPE_CHECKING:
    from runtara_migrations.location import PostgresLocation
    from runtara_persistence.transactions.transaction import Traits, Transaction

T = TypeVar("T")

# In quotes, because these classes are generic only for the type checker.
Records: TypeAlias = "list[asyncpg.Record]"
Work: TypeAlias = Callable[[Connection], Awaitable[T]]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

MUCH_LONGER = 6
"""A statement that counts or searches may take this many times as long as other statements."""
_CLOSE_TIMEOUT = 5.0
_RELEASE_TIMEOUT = 2.0
_LOCK_TIMEOUT = 0.25
"""Seconds. Steps rarely lock a row for as long: another holder may keep the lock for long."""
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25

_log = logging.getLogger(__name__)


class Database:
    """
    One PostgreSQL database, through a pool of connections.

    migrates: whether opening brings the schema up to date. patience: seconds within which a step
    is begun, repeats included. step_timeout: seconds that a statement may take; the database itself
    ends the statement a little earlier.
    """

    def __init__(
        self,
        place: PostgresLocation,
        *,
        migrates: bool,
        pool_size: int,
        patience: float,
        step_timeout: float,
    ) -> None:
        self._place = place
        self._migrates = migrates
        self._pool_size = pool_size
        self._patience = patience
        self._step_timeout = step_timeout
        # Steps that wait for locked rows take at most half of the connections of the pool.
        self._held_up = asyncio.Semaphore(max(1, pool_size // 2))
        self._opening = Opening(place, settings=self._settings(), patience=patience)
        self._pool: Pool | None = None
        self._line = Line(self._size)
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()

    @property
    def patience(self) -> float:
        """Seconds within which a step is begun, repeats included."""
        return self._patience

    @property
    def step_timeout(self) -> float:
        """Seconds that a statement may take."""
        return self._step_timeout

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """
        Update or check the schema, then take steps; at the end, finish the steps under way.

        Raises DatabaseError if the database can't be opened, or its schema lacks a migration.
        """
        pool = self._make_pool(self._pool_size, self._step_timeout)
        try:
            await _ending_in_time(pool, self._prepare(pool))
            self._pool = pool
            yield
        finally:
            await self._none_under_way.wait()
            self._pool = None
            await _close(pool)

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection outside the pool; the caller closes it. Raises DatabaseError."""
        self._require_pool()
        try:
            return await self._opening(self._step_timeout)
        except FAILURES as error:
            raise explain("connect", self._place.shown, error) from error

    async def read(self, attempt: str, query: str, *arguments: object) -> Records:
        """Run a statement that only reads."""
        return await self.write(attempt, query, *arguments, is_repeatable=True)

    async def read_much(self, attempt: str, query: str, *arguments: object) -> Records:
        """
        Run a statement that counts or searches; it may take longer than other statements.

        It is planned for these arguments: filters that are not used fall out of the plan, and the
        others use an index.
        """

        async def work(connection: Connection) -> Records:
            async with self._much(connection) as timeout:
                return await connection.fetch(query, *arguments, timeout=timeout)

        return await self.run(attempt, work, is_repeatable=True)

    async def write(
        self, attempt: str, query: str, *arguments: object, is_repeatable: bool = False
    ) -> Records:
        """
        Run a statement as a transaction of its own; its effect is durable when this returns.

        is_repeatable: running it twice has the effect of running it once. A statement that isn't
        repeatable is run again only if it certainly had no effect.
        """

        async def work(connection: Connection) -> Records:
            return await connection.fetch(query, *arguments, timeout=self._step_timeout)

        return await self.run(attempt, work, is_repeatable=is_repeatable)

    async def run(self, attempt: str, work: Work[T], *, is_repeatable: bool) -> T:
        """
        Do work with a connection, within the patience and the timeout of steps.

        is_repeatable: the work may be done again if its answer was lost. Raises DatabaseError.
        """
        with self.step():
            return await self._run(self._require_pool(), attempt, work, is_repeatable)

    async def perform(self, attempt: str, begin: Callable[[], Transaction[T]], traits: Traits) -> T:
        """Fits `transactions.transaction.Transactor`."""

        async def work(connection: Connection) -> T:
            if traits.reads_much:
                async with self._much(connection) as timeout:
                    return await run_transaction(connection, begin(), step_timeout=timeout)
            is_alone = traits.only_reads or traits.is_single
            async with nullcontext() if is_alone else connection.transaction():
                return await run_transaction(connection, begin(), step_timeout=self._step_timeout)

        return await self.run(attempt, work, is_repeatable=traits.is_repeatable)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep the database open during the block; raises DatabaseError if it is not open."""
        self._require_pool()
        self._under_way += 1
        self._none_under_way.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._none_under_way.set()

    @asynccontextmanager
    async def _much(self, connection: Connection) -> AsyncIterator[float]:
        """Make a transaction for statements that count or search; gives the seconds of each."""
        timeout = MUCH_LONGER * self._step_timeout
        async with connection.transaction(readonly=True):
            await connection.execute(
                f"SET LOCAL statement_timeout = {_milliseconds(timeout)};"
                " SET LOCAL lock_timeout = 0; SET LOCAL plan_cache_mode = force_custom_plan"
            )
            yield timeout

    async def _run(self, pool: Pool, attempt: str, work: Work[T], is_repeatable: bool) -> T:
        began = asyncio.get_running_loop().time()
        deadline = began + self._patience
        pause = _FIRST_PAUSE
        held: asyncpg.LockNotAvailableError | None = None
        while True:
            try:
                async with (
                    self._in_line(held, deadline) if held else nullcontext(),
                    self._line.turn(_until(deadline)),
                ):
                    return await _once(pool, work, deadline)
            except FAILURES as error:
                failure = error.__cause__ if isinstance(error, _NotBegun) else error
                is_safe = isinstance(error, _NotBegun) or was_rolled_back(error)
                may = is_safe or (is_repeatable and was_lost(error))
                if failure is None or not may or _is_late(deadline, pause):
                    raise explain(attempt, self._place.shown, failure or error) from failure
                if isinstance(failure, asyncpg.ReadOnlySQLTransactionError):
                    # New connections find out again which host is the primary.
                    await pool.expire_connections()
                if isinstance(failure, asyncpg.LockNotAvailableError):
                    held, deadline = failure, began + self._step_timeout
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @asynccontextmanager
    async def _in_line(
        self, held: asyncpg.LockNotAvailableError, deadline: float
    ) -> AsyncIterator[None]:
        """Wait for a turn to try a locked row again; raises `held` if none comes in time."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._held_up.acquire()
        except TimeoutError:
            raise held from None
        try:
            yield
        finally:
            self._held_up.release()

    def _make_pool(self, size: int, longest: float | None) -> Pool:
        return asyncpg.create_pool(
            connect=partial(self._opening, longest),
            # The driver need not keep idle connections: it logs a traceback when it can't.
            min_size=0,
            max_size=size,
            max_queries=2**31,
            # A step leaves nothing in the session, so resetting it would be a useless round trip.
            reset=_leave_as_it_is,
        )

    def _settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "statement_timeout": f"{_milliseconds(self._step_timeout)}ms",
            "lock_timeout": f"{_milliseconds(_LOCK_TIMEOUT)}ms",
        }

    async def _prepare(self, pool: Pool) -> None:
        try:
            await pool
            async with pool.acquire() as connection:
                await check_session(connection)
            if not self._migrates:
                await check_postgres(pool)
            elif await missing_postgres(pool):
                await self._migrate()
        except MigrationError as error:
            message = f"Failed to open the database in {self._place.shown}: {error}"
            raise DatabaseError(message) from error
        except (*FAILURES, ValueError) as error:
            raise explain("open the database", self._place.shown, error) from error

    async def _migrate(self) -> None:
        """Apply migrations on a connection without a timeout: a commit, too, may take long."""
        pool = self._make_pool(1, None)
        try:
            await pool
            await _ending_in_time(pool, run_postgres(pool))
        finally:
            await _close(pool)

    def _size(self) -> int:
        return 0 if self._pool is None else self._pool.get_size()

    def _require_pool(self) -> Pool:
        if self._pool is None:
            raise DatabaseError("The database is not open: it was closed, or never opened")
        return self._pool


class OnDatabase(Transacting):
    """A class with methods that are steps on a database."""

    _database: Database


Noun = TypeVar("Noun", bound=OnDatabase)
P = ParamSpec("P")


def transact(
    attempt: str, *, is_repeatable: bool = False
) -> Callable[
    [Callable[Concatenate[Noun, Connection, P], Awaitable[T]]],
    Callable[Concatenate[Noun, P], Coroutine[None, None, T]],
]:
    """Make a method of a step in a transaction; is_repeatable: as for `Database.run`."""

    def decorate(
        method: Callable[Concatenate[Noun, Connection, P], Awaitable[T]],
    ) -> Callable[Concatenate[Noun, P], Coroutine[None, None, T]]:
        @wraps(method)
        async def transacting(self: Noun, /, *args: P.args, **options: P.kwargs) -> T:
            async def work(connection: Connection) -> T:
                async with connection.transaction():
                    return await method(self, connection, *args, **options)

            return await self._database.run(attempt, work, is_repeatable=is_repeatable)

        return transacting

    return decorate


class _NotBegun(OSError):
    """No connection could be had; the error's cause says why."""


async def _once(pool: Pool, work: Work[T], deadline: float) -> T:
    try:
        connection = await pool.acquire(timeout=_until(deadline))
    except FAILURES as error:
        raise _NotBegun from error
    try:
        return await work(connection)
    except asyncpg.InternalClientError:
        # The driver has lost track of this connection's state.
        connection.terminate()
        raise
    finally:
        await _release(pool, connection)


async def _release(pool: Pool, connection: Connection) -> None:
    try:
        # A frozen server doesn't answer the request to cancel a statement, so this is bounded.
        await pool.release(connection, timeout=_RELEASE_TIMEOUT)
    except FAILURES as error:
        # The connection is closed, and a new one takes its place. The step's outcome stays as it
        # is, also if that is a cancellation.
        _log.debug("a connection can't be released: %s", error)


async def _close(pool: Pool) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await pool.close()
    except TimeoutError:
        # The server does not answer the goodbye; no step is under way any more.
        pool.terminate()


async def _ending_in_time(pool: Pool, work: Coroutine[None, None, object]) -> None:
    """Do the work; if cancelled, let it roll back, but don't wait for a frozen server."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        _, unfinished = await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)
        if unfinished:
            pool.terminate()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _milliseconds(timeout: float) -> int:
    # The server ends the statement before the client gives up, so that its answer says why.
    return max(1, int(timeout * 900))


def _until(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())


def _is_late(deadline: float, pause: float) -> bool:
    return asyncio.get_running_loop().time() + pause >= deadline


async def _leave_as_it_is(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    pass
