"""The worker: runs the instances of workflows that it serves."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, get_args

from runtara import locating
from runtara.children import Loading, child_runs, targets
from runtara.connection import Connection, connected
from runtara.core import Declaration, HasEnded, Plan, RunsOfWorker
from runtara.locating import Location, Way
from runtara.running import Runs
from runtara.threads import limit_threads
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.process.watchdog import HeartbeatThread

logger = get_logger(__name__)

Isolation = Literal["none", "shared", "process"]
"""The processes in which a worker's instances run; see `Worker`."""

AnyWorkflow = Callable[..., Coroutine[Any, Any, Any]]


class Worker:
    """
    Runs instances of these workflows within its `async with` block.

    `concurrency`: the most instances at once. At the end of the block the worker takes no more
    instances, and gives running steps the time `grace` to end. Other workers go on with its
    instances at once. `where` and `tenant` are as for `connect`. Raises ConfigurationError for a
    workflow that the worker can't serve. A failure of the worker itself is logged at once; `wait`
    and the end of the block raise it.

    `isolate` is where instances run. "shared", the default: together in a child process, which is
    replaced before it grows too large. "process": each in a separate process. "none": in this
    process; this is the default for `sqlite::memory:`, which allows nothing else. An instance whose
    process dies `max_crashes` times in a row without progress fails. A worker that uses servers has
    the servers' setting instead. `threads`: how many threads of workflows of `runtara.sync` may run
    at once in a process.
    """

    def __init__(
        self,
        *workflows: AnyWorkflow,
        concurrency: int = 50,
        grace: Duration = "10s",
        isolate: Isolation | None = None,
        max_crashes: int = 5,
        threads: int = 40,
        where: str | None = None,
        tenant: str | None = None,
    ) -> None:
        Loading.refuse()
        self._workflows = _named(workflows)
        if concurrency < 1:
            raise ConfigurationError(f"concurrency=: takes 1 or more, got {concurrency}")
        self._concurrency = concurrency
        self._grace = duration("grace=", grace)
        self._max_crashes = max_crashes
        if threads < 1:
            raise ConfigurationError(f"threads=: takes 1 or more, got {threads}")
        self._threads = threads
        self._place = locating.locate(where)
        self._tenant = locating.tenant(tenant)
        self._isolate = _isolation(isolate, self._place)
        if self._isolate != "none":
            targets(self._workflows)
        self._end = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        ready = asyncio.get_running_loop().create_future()
        # A separate task, so that an error of the block is not wrapped in an ExceptionGroup.
        self._life = asyncio.create_task(self._live(ready), name="runtara-worker")
        await asyncio.wait({ready, self._life}, return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            await self._life
        self._life.add_done_callback(self._log_failure)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()
        await self.wait()

    def leave(self) -> None:
        """Let the worker end, as at the end of the block; returns at once."""
        self._end.set()

    async def wait(self) -> None:
        """Return when the worker has ended; raises the worker's error if it failed."""
        if self._life is not None:
            await asyncio.shield(self._life)

    def _log_failure(self, life: "asyncio.Task[None]") -> None:
        error = None if life.cancelled() else life.exception()
        if error is not None and not self._end.is_set():
            # The block may run for days, and the failure is raised only at its end.
            logger.error(
                "the worker has failed, and runs nothing until it is started again", exc_info=error
            )

    async def _live(self, ready: "asyncio.Future[None]") -> None:
        async with AsyncExitStack() as exits:
            connection = await exits.enter_async_context(connected(self._place))
            plan = Plan(
                tenant_id=self._tenant,
                workflows=frozenset(self._workflows),
                capacity=self._concurrency,
                grace=self._grace,
                max_crashes=self._max_crashes,
                declarations=tuple(map(_declaration, self._workflows.values())),
            )
            await exits.enter_async_context(
                connection.serving(plan, partial(self._runs, connection))
            )
            ready.set_result(None)
            await self._end.wait()

    @asynccontextmanager
    async def _runs(self, connection: Connection, ended: HasEnded) -> AsyncIterator[RunsOfWorker]:
        if self._isolate != "none":
            isolated = self._isolate == "process"
            async with child_runs(
                self._place, self._workflows, ended, isolated=isolated, threads=self._threads
            ) as children:
                yield children
            return
        limit_threads(self._threads)
        async with connection.stores() as stores:
            runs = Runs(self._workflows, stores, ended)
            with HeartbeatThread() as watch:
                watch.begin()
                try:
                    yield runs
                finally:
                    await runs.close()


async def serve(
    *workflows: AnyWorkflow,
    concurrency: int = 50,
    grace: Duration = "10s",
    isolate: Isolation | None = None,
    threads: int = 40,
    where: str | None = None,
    tenant: str | None = None,
) -> None:
    """Run a `Worker` until SIGTERM or Ctrl-C; then other workers go on with its instances."""
    worker = Worker(
        *workflows,
        concurrency=concurrency,
        grace=grace,
        isolate=isolate,
        threads=threads,
        where=where,
        tenant=tenant,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no such handlers: Ctrl-C cancels the task there.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, worker.leave)
    async with worker:
        await worker.wait()


def _declaration(one: Workflow[..., Any]) -> Declaration:
    schedule = None if one.schedule is None else one.schedule.metadata
    return Declaration(one.name, one.code_version, schedule)


def _named(workflows: tuple[AnyWorkflow, ...]) -> dict[str, Workflow[..., Any]]:
    if not workflows:
        raise ConfigurationError("a worker serves at least one workflow: serve(fulfil, ...)")
    named: dict[str, Workflow[..., Any]] = {}
    for one in workflows:
        if not isinstance(one, Workflow):
            raise TypeError(f"a worker takes functions decorated with @workflow, got {one!r}")
        if one.name in named:
            raise ConfigurationError(
                f"two workflows are named {one.name!r}: rename one with @workflow(name=...)"
            )
        named[one.name] = one
    return named


def _isolation(asked: Isolation | None, location: Location) -> Isolation:
    is_here = location.way is Way.DATABASE and location.value.partition("?")[0].endswith(":memory:")
    if asked is None:
        return "none" if is_here else "shared"
    if asked not in get_args(Isolation):
        raise ConfigurationError(
            f"isolate=: takes {', '.join(map(repr, get_args(Isolation)))}, got {asked!r}"
        )
    if is_here and asked != "none":
        raise ConfigurationError(
            f'isolate=: takes "none" for {location.shown}, which no other process sees,'
            f" got {asked!r}"
        )
    return asked
