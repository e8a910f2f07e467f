"""The SQLite adapter as a whole, and its lifetime."""

import sqlite3
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.environments import SqliteEnvironments
from runtara_persistence.sqlite.images import SqliteImages
from runtara_persistence.sqlite.instances import SqliteInstances
from runtara_persistence.sqlite.launches import SqliteLaunches
from runtara_persistence.sqlite.limits import SqliteLimits
from runtara_persistence.sqlite.watch import Watch

if TYPE_CHECKING:
    from runtara_persistence.sqlite.checkpoints import SqliteCheckpoints
    from runtara_persistence.sqlite.claims import SqliteClaims
    from runtara_persistence.sqlite.events import SqliteEvents
    from runtara_persistence.sqlite.schedules import SqliteSchedules
    from runtara_persistence.sqlite.signals import SqliteSignals


class SqlitePersistence:
    """
    Storage in a SQLite file, which any number of processes on a machine may share, or in memory.

    Fits `runtara_domain.ports.persistence.Persistence`. path: a file, created with its folder if
    missing, or `:memory:`. lock_timeout: seconds that a step waits for another process's lock.
    """

    def __init__(self, path: str, *, lock_timeout: float = 5.0) -> None:
        self._database = Database(path, lock_timeout=lock_timeout)
        self._lifetime = AsyncExitStack()
        self._watch = Watch(self._database)
        self.instances = SqliteInstances(self._database, self._watch)
        self.images = SqliteImages(self._database)
        self.launches = SqliteLaunches(self._database, self._watch)
        self.environments = SqliteEnvironments(self._database)
        self.limits = SqliteLimits(self._database)

    # These modules are imported at first use: a command that lists instances needs none of them.

    @cached_property
    def checkpoints(self) -> "SqliteCheckpoints":
        from runtara_persistence.sqlite.checkpoints import SqliteCheckpoints

        return SqliteCheckpoints(self._database)

    @cached_property
    def claims(self) -> "SqliteClaims":
        from runtara_persistence.sqlite.claims import SqliteClaims

        return SqliteClaims(self._database)

    @cached_property
    def events(self) -> "SqliteEvents":
        from runtara_persistence.sqlite.events import SqliteEvents

        return SqliteEvents(self._database, self._watch)

    @cached_property
    def signals(self) -> "SqliteSignals":
        from runtara_persistence.sqlite.signals import SqliteSignals

        return SqliteSignals(self._database, self._watch)

    @cached_property
    def schedules(self) -> "SqliteSchedules":
        from runtara_persistence.sqlite.schedules import SqliteSchedules

        return SqliteSchedules(self._database, self._watch)

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
        return self._watch.watching(changed, launchable)

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
