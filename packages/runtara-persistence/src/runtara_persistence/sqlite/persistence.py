"""The SQLite adapter as a whole, and its lifetime."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from runtara_persistence.sqlite.checkpoints import SqliteCheckpoints
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.events import SqliteEvents
from runtara_persistence.sqlite.instances import SqliteInstances


class SqlitePersistence:
    """
    Storage in a SQLite file, which any number of processes on a machine may share, or in memory.

    Fits `runtara_domain.ports.persistence.Persistence`. path: a file, created with its folder if
    missing, or `:memory:`. lock_timeout: seconds a step waits for another process to let go.
    """

    def __init__(self, path: str, *, lock_timeout: float = 5.0) -> None:
        self._database = Database(path, lock_timeout=lock_timeout)
        self._lifetime = AsyncExitStack()
        self.instances = SqliteInstances(self._database)
        self.checkpoints = SqliteCheckpoints(self._database)
        self.events = SqliteEvents(self._database)

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
