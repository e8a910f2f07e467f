"""The way to the core that clients and workers of one loop share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from runtara.background import beside
from runtara.core import Instances, OpenRuns, Plan, RunStores
from runtara.embedded import worker as embedded_worker
from runtara.embedded.core import EmbeddedCore
from runtara.embedded.instances import EmbeddedInstances
from runtara.embedded.queues import put_queue
from runtara.embedded.stores import EmbeddedStores
from runtara.locating import Location, Way
from runtara_domain.error import InvalidValue
from runtara_management_sdk import Queue as QueueRecord
from runtara_persistence.connect import connect as persistence_at
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.workflow import Queue

if TYPE_CHECKING:
    from runtara.remote.core import RemoteCore


class Connection(Protocol):
    """A connection to the core: in this process, or to servers."""

    @property
    def instances(self) -> Instances: ...

    async def put_queue(self, tenant_id: str, queue: Queue) -> None:
        """Create a queue or replace its bounds."""
        ...

    def stores(self) -> AbstractAsyncContextManager[RunStores]:
        """Open the factory of the stores of this process's runs."""
        ...

    def serving(self, plan: Plan, runs: OpenRuns) -> AbstractAsyncContextManager[None]:
        """Be a worker while the block lasts; hand over at its end."""
        ...


class _Embedded:
    """The core in this process."""

    def __init__(self, core: EmbeddedCore, database_url: str) -> None:
        self._core, self._url = core, database_url
        self.instances = EmbeddedInstances(core)

    async def put_queue(self, tenant_id: str, queue: Queue) -> None:
        await put_queue(self._core, tenant_id, queue)

    @asynccontextmanager
    async def stores(self) -> AsyncIterator[RunStores]:
        stores = EmbeddedStores(self._core)
        async with beside(stores.keep()):
            yield stores

    def serving(self, plan: Plan, runs: OpenRuns) -> AbstractAsyncContextManager[None]:
        return embedded_worker.serving(self._core, self._url, plan, runs)


class _Remote:
    """The core through its servers."""

    def __init__(self, core: "RemoteCore") -> None:
        self._core = core
        self.instances = core.management.instances

    async def put_queue(self, tenant_id: str, queue: Queue) -> None:
        rate, period = queue.rate_limit or (None, None)
        await self._core.management.queues.put(
            QueueRecord(
                tenant_id=tenant_id,
                name=queue.name,
                concurrency=queue.concurrency,
                concurrency_per_worker=queue.per_worker,
                rate=rate,
                rate_period=period,
            )
        )

    @asynccontextmanager
    async def stores(self) -> AsyncIterator[RunStores]:
        from runtara.remote.stores import RemoteStores

        stores = RemoteStores(self._core)
        async with beside(stores.keep()):
            yield stores

    def serving(self, plan: Plan, runs: OpenRuns) -> AbstractAsyncContextManager[None]:
        from runtara.remote import worker

        return worker.serving(self._core.management, plan, runs)


def preload(location: Location) -> None:
    """Import what a connection to a location and its stores use; open nothing."""
    if location.way is Way.DATABASE:
        persistence_at(location.value)
    else:
        from runtara.remote import core, stores, worker  # noqa: F401


@dataclass(slots=True)
class _Shared:
    connection: "asyncio.Future[Connection]"
    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    users: int = 0


_shared: dict[tuple[asyncio.AbstractEventLoop, Location], _Shared] = {}


@asynccontextmanager
async def connected(
    location: Location, *, watch_spacing: float | None = None
) -> AsyncIterator[Connection]:
    """
    Use the event loop's connection to a location; the first user opens it, the last closes it.

    So a process has one writer of a SQLite file, and `sqlite::memory:` is one database.
    watch_spacing: as of `runtara_persistence.connect.connect`, if this user opens it.
    """
    loop = asyncio.get_running_loop()
    shared = _shared.get((loop, location))
    if shared is None:
        shared = _shared[loop, location] = _Shared(loop.create_future())
        shared.users += 1
        await _open(shared, location, watch_spacing)
    else:
        shared.users += 1
    try:
        yield await asyncio.shield(shared.connection)
    finally:
        shared.users -= 1
        if not shared.users and _shared.get((loop, location)) is shared:
            del _shared[loop, location]
            await shared.exits.aclose()


async def _open(shared: _Shared, location: Location, watch_spacing: float | None) -> None:
    try:
        shared.connection.set_result(await _opened(shared.exits, location, watch_spacing))
    except BaseException as error:
        _shared.pop((asyncio.get_running_loop(), location), None)
        shared.connection.set_exception(error)
        # Marks the exception as retrieved, should nothing else await it.
        shared.connection.exception()
        raise


async def _opened(
    exits: AsyncExitStack, location: Location, watch_spacing: float | None
) -> Connection:
    if location.way is Way.DATABASE:
        try:
            persistence = persistence_at(location.value, migrates=True, watch_spacing=watch_spacing)
            core = EmbeddedCore(persistence)
        except InvalidValue as error:
            raise ConfigurationError(str(error)) from error
        await exits.enter_async_context(core)
        return _Embedded(core, location.value)
    # Only here: QUIC and TLS take long to import.
    from runtara.remote.core import RemoteCore

    remote = RemoteCore.at(location.value)
    await exits.enter_async_context(remote.management)
    return _Remote(remote)
