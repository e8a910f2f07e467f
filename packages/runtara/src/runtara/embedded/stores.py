"""The stores of the runs that this process has on the core in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from runtara.core import Order, RunStore
from runtara.embedded.core import EmbeddedCore
from runtara.embedded.store import EmbeddedStore, Run

_EVERY = 10.0


class EmbeddedStores:
    """Opens stores, and notes that their runs live while `keep` runs."""

    def __init__(self, embedded: EmbeddedCore) -> None:
        self._embedded = embedded
        self._runs: dict[EmbeddedStore, int] = {}

    def open(self, order: Order, core_timeout: timedelta) -> AbstractAsyncContextManager[RunStore]:
        return self._opened(order, core_timeout)

    @asynccontextmanager
    async def _opened(self, order: Order, core_timeout: timedelta) -> AsyncIterator[RunStore]:
        run = Run(order.instance_id, order.tenant_id, order.launch_id)

        def registered(number: int) -> None:
            self._runs[store] = number

        store = EmbeddedStore(self._embedded, run, core_timeout, registered)
        try:
            yield store
        finally:
            self._runs.pop(store, None)
            store.close()

    async def keep(self) -> None:
        """Note again and again that the runs live, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            for store, number in self._runs.items():
                self._embedded.note_life(store.instance_id, number)
