"""The in-memory adapter as a whole, and its lifetime."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from runtara_domain.ports.clock import Clock
from runtara_domain.system_clock import SystemClock
from runtara_persistence.memory.checkpoints import MemoryCheckpoints
from runtara_persistence.memory.claims import MemoryClaims
from runtara_persistence.memory.environments import MemoryEnvironments
from runtara_persistence.memory.events import MemoryEvents
from runtara_persistence.memory.images import MemoryImages
from runtara_persistence.memory.instances import MemoryInstances
from runtara_persistence.memory.launches import MemoryLaunches
from runtara_persistence.memory.limits import MemoryLimits
from runtara_persistence.memory.schedules import MemorySchedules
from runtara_persistence.memory.signals import MemorySignals
from runtara_persistence.memory.store import Store


class MemoryPersistence:
    """
    Storage that lasts as long as this object, for one event loop.

    Fits `runtara_domain.ports.persistence.Persistence`. Watches get the ids of changed instances
    at once. It may be closed and opened again, and keeps its data. `store` is that data, which
    tests may read. clock: the database's own clock, by which leases expire.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.store = Store(clock=clock or SystemClock())
        self.instances = MemoryInstances(self.store)
        self.checkpoints = MemoryCheckpoints(self.store)
        self.claims = MemoryClaims(self.store)
        self.events = MemoryEvents(self.store)
        self.signals = MemorySignals(self.store)
        self.images = MemoryImages(self.store)
        self.launches = MemoryLaunches(self.store)
        self.environments = MemoryEnvironments(self.store)
        self.limits = MemoryLimits(self.store)
        self.schedules = MemorySchedules(self.store)

    async def check(self) -> None:
        await self.store.yield_control()

    @asynccontextmanager
    async def watch(
        self,
        changed: Callable[[Collection[str] | None], None],
        *,
        launchable: Callable[[], None] | None = None,
    ) -> AsyncIterator[None]:
        self.store.require_open()
        with self.store.watchers.watching(changed, launchable):
            yield

    async def __aenter__(self) -> Self:
        self.store.is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The steps under way wait in `Store.yield_control`; they go on before this does.
        await asyncio.sleep(0)
        self.store.is_open = False
