"""The SQLite adapter as a whole, and its lifetime."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_persistence.nouns import SHARED, Noun
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.watch import SPACING, watching

if TYPE_CHECKING:
    from runtara_persistence.sqlite.checkpoints import SqliteCheckpoints
    from runtara_persistence.sqlite.claims import SqliteClaims
    from runtara_persistence.sqlite.events import SqliteEvents
    from runtara_persistence.sqlite.instances import SqliteInstances
    from runtara_persistence.sqlite.launches import SqliteLaunches
    from runtara_persistence.sqlite.signals import SqliteSignals
    from runtara_persistence.transactions.environments import EnvironmentTransactions
    from runtara_persistence.transactions.images import ImageTransactions
    from runtara_persistence.transactions.limits import LimitTransactions
    from runtara_persistence.transactions.schedules import ScheduleTransactions


class SqlitePersistence:
    """
    Storage in a SQLite file, which any number of processes on a machine may share, or in memory.

    Fits `runtara_domain.ports.persistence.Persistence`. path: a file, created with its folder if
    missing, or `:memory:`. lock_timeout: seconds that a step waits for another process's lock.
    watch_spacing: seconds from one look at what other processes wrote to the next.
    """

    instances: Noun[SqliteInstances] = Noun("SqliteInstances")
    checkpoints: Noun[SqliteCheckpoints] = Noun("SqliteCheckpoints")
    claims: Noun[SqliteClaims] = Noun("SqliteClaims")
    events: Noun[SqliteEvents] = Noun("SqliteEvents")
    signals: Noun[SqliteSignals] = Noun("SqliteSignals")
    images: Noun[ImageTransactions] = Noun("ImageTransactions", SHARED)
    launches: Noun[SqliteLaunches] = Noun("SqliteLaunches")
    environments: Noun[EnvironmentTransactions] = Noun("EnvironmentTransactions", SHARED)
    limits: Noun[LimitTransactions] = Noun("LimitTransactions", SHARED)
    schedules: Noun[ScheduleTransactions] = Noun("ScheduleTransactions", SHARED)

    def __init__(
        self, path: str, *, lock_timeout: float = 5.0, watch_spacing: float = SPACING
    ) -> None:
        self._database = Database(path, lock_timeout=lock_timeout)
        self._watch_spacing = watch_spacing
        self._lifetime = AsyncExitStack()

    async def check(self) -> None:
        def step(connection: sqlite3.Connection) -> None:
            # The statement names a table, because one without a table would not read the file.
            connection.execute("SELECT 1 FROM instances LIMIT 1").fetchone()

        await self._database.read("check the database", step)

    def watch(
        self,
        changed: Callable[[Collection[str] | None], None],
        *,
        launchable: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        return watching(self._database, changed, launchable, self._watch_spacing)

    async def __aenter__(self) -> Self:
        await self._lifetime.enter_async_context(self._database.opened())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lifetime.__aexit__(kind, error, traceback)
