"""The stores of the runs of this process, over one connection to the core's port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from runtara.core import DONE, Order, RunStore, code_of_failure
from runtara.remote.core import RemoteCore
from runtara_sdk.client import requests
from runtara_sdk.client.calls import Calls
from runtara_sdk.client.client import Client
from runtara_sdk.client.connection import CommonConnection
from runtara_sdk.client.retry import Retry
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import RuntaraError
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.start import start_of
from runtara_sdk.workflow.process.core_store import CoreStore, retry_within

logger = get_logger(__name__)

_EVERY = 10.0


class RemoteStores:
    """Opens stores that share a connection, and shows that all their runs live by one request."""

    def __init__(self, remote: RemoteCore) -> None:
        self._remote = remote
        self._settings = remote.settings()
        self._common = CommonConnection(self._settings)
        self._living: dict[RemoteStore, str] = {}

    def open(self, order: Order, core_timeout: timedelta) -> AbstractAsyncContextManager[RunStore]:
        return self._opened(order, core_timeout)

    @asynccontextmanager
    async def _opened(self, order: Order, core_timeout: timedelta) -> AsyncIterator[RunStore]:
        settings = self._settings.of(order.instance_id, order.tenant_id, order.launch_id)
        retry = retry_within(core_timeout)
        async with Client(settings, retry=retry, common=self._common) as client:
            store = RemoteStore(self._remote, client, settings, retry, self._begun)
            store.closes_launch = order.closes_launch
            try:
                yield store
            finally:
                self._living.pop(store, None)

    def _begun(self, store: "RemoteStore") -> None:
        self._living[store] = store.instance_id

    async def keep(self) -> None:
        """Show again and again that the runs live, until cancelled; then close the connection."""
        calls = Calls(self._settings, Retry(_EVERY), self._common)
        try:
            while True:
                await asyncio.sleep(_EVERY)
                await self._show_life(calls)
        finally:
            await self._common.aclose()

    async def _show_life(self, calls: Calls) -> None:
        if self._living:
            try:
                await calls.ask(requests.heartbeats(self._living.values()))
            except RuntaraError as error:
                # Of one run that was superseded, which hears of it by itself, or of an outage.
                logger.info("heartbeat failed: %s", error)


class _Life:
    """Has a run shown to live once it has begun."""

    def __init__(self, begun: Callable[[], None]) -> None:
        self.begin = begun


class RemoteStore(CoreStore):
    """
    One run on the core's port; a successor is started for the workers of its workflow.

    closes_launch: whether the run's end closes its launch, too, if the server is not too old for
    that.
    """

    closes_launch = False

    def __init__(
        self,
        remote: RemoteCore,
        client: Client,
        settings: Settings,
        retry: Retry,
        begun: Callable[["RemoteStore"], None],
    ) -> None:
        super().__init__(client, settings, _Life(lambda: begun(self)), retry)
        self._management = remote.management
        self._tenant_id = settings.tenant_id
        self.is_launch_closed = False

    async def complete(self, output: bytes) -> None:
        code = DONE if self.closes_launch else None
        self.is_launch_closed = await self._client.completed(output, exit_code=code)

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        code = code_of_failure(failure) if self.closes_launch else None
        self.is_launch_closed = await self._client.failed(error, failure, exit_code=code)

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        workflow, given = start_of(key, state)
        await self._management.instances.start(
            self._tenant_id, workflow=workflow, instance_id=instance_id, input=given
        )
