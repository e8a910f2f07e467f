"""The in-memory adapter as a whole, and its lifetime."""

import asyncio
from types import TracebackType
from typing import Self

from runtara_persistence.memory.checkpoints import MemoryCheckpoints
from runtara_persistence.memory.events import MemoryEvents
from runtara_persistence.memory.instances import MemoryInstances
from runtara_persistence.memory.store import Store


class MemoryPersistence:
    """
    Storage that lasts as long as this object, for one event loop.

    It may be closed and opened again, and then holds what it held. `store` is what it holds, for
    tests to look into.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.instances = MemoryInstances(self.store)
        self.checkpoints = MemoryCheckpoints(self.store)
        self.events = MemoryEvents(self.store)

    async def __aenter__(self) -> Self:
        self.store.is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The steps under way wait in `Store.turn`, in front of this.
        await asyncio.sleep(0)
        self.store.is_open = False
