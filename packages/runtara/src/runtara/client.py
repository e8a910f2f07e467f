"""The client: instances of workflows, started, found and listed."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack, cast, overload
from uuid import uuid4

from runtara import locating
from runtara.connection import Connection, connected
from runtara.handle import Handle
from runtara_management_sdk import InstanceFilter, InstanceSummary, Status
from runtara_sdk.errors import ClientNotOpen
from runtara_sdk.workflow import Call, Queue, Workflow
from runtara_sdk.workflow.duration import Duration, duration

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")


def connect(where: str | None = None, *, tenant: str | None = None) -> "Client":
    """
    Return a client of the core, for `async with connect() as client:`.

    `where` is an environment's `host:port`, or a database that this process opens itself:
    `sqlite:PATH`, `sqlite::memory:` or `postgresql://…`. Without it RUNTARA_ENVIRONMENT_ADDR or
    RUNTARA_DATABASE_URL counts, else a folder `.runtara` of this folder or one above it. The tenant
    is RUNTARA_TENANT_ID, or `default`. Raises ConfigurationError if no core is named, or if both
    variables are set.
    """
    return Client(locating.locate(where), locating.tenant(tenant))


class StartOptions(TypedDict, total=False):
    """
    The options of a start, all optional.

    id: the instance's id; without it the client makes one. queue: the queue whose bounds it obeys.
    priority: waiting instances with a higher one are launched first. delay: the time from now
    before which it is not launched. dedupe: a key; if an open instance of the queue has the same
    key, the start returns that instance.
    """

    id: str | None
    queue: Queue | str | None
    priority: int
    delay: Duration | None
    dedupe: str | None


class Client:
    """Starts and finds instances, within its `async with` block; tasks may share it."""

    def __init__(self, location: locating.Location, tenant: str) -> None:
        self._place = location
        self.tenant = tenant
        self._exits = AsyncExitStack()
        self._connection: Connection | None = None
        self._queues: set[Queue] = set()

    async def __aenter__(self) -> Self:
        if self._connection is not None:
            raise ClientNotOpen("this client is open already: use one `async with` at a time")
        self._connection = await self._exits.enter_async_context(connected(self._place))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection = None
        await self._exits.aclose()

    @overload
    async def start(
        self,
        call: Call[R],
        /,
        **options: Unpack[StartOptions],
    ) -> Handle[R]: ...

    @overload
    async def start(
        self,
        workflow: Callable[[], Coroutine[Any, Any, R]],
        /,
        **options: Unpack[StartOptions],
    ) -> Handle[R]: ...

    @overload
    async def start(
        self,
        workflow: Callable[[A], Coroutine[Any, Any, R]],
        argument: A,
        /,
        **options: Unpack[StartOptions],
    ) -> Handle[R]: ...

    @overload
    async def start(
        self,
        workflow: Callable[[A, B], Coroutine[Any, Any, R]],
        first: A,
        second: B,
        /,
        **options: Unpack[StartOptions],
    ) -> Handle[R]: ...

    async def start(
        self,
        workflow: Call[R] | Callable[..., Coroutine[Any, Any, R]],
        /,
        *arguments: object,
        **options: Unpack[StartOptions],
    ) -> Handle[R]:
        """
        Start an instance of a workflow with these arguments; it is durable on return.

        Use `workflow.bind(...)` for more arguments, or for arguments by name. A second start with
        the same id, workflow and arguments returns the same instance; with others it raises
        InstanceAlreadyExists. Without an id the client makes one. A worker that serves the workflow
        runs the instance, after `delay`; higher priorities first. Before its first use by this
        client, a Queue is stored with its bounds.
        """
        if isinstance(workflow, Call):
            if arguments:
                raise TypeError("start() of a bound call takes no arguments: give them to bind()")
            call = workflow
        else:
            call = _workflow(workflow).bind(*arguments)
        return await self._start(call, **options)

    async def _start(
        self,
        call: Call[R],
        *,
        id: str | None = None,
        queue: Queue | str | None = None,
        priority: int = 0,
        delay: Duration | None = None,
        dedupe: str | None = None,
    ) -> Handle[R]:
        started = await self._opened.instances.start(
            self.tenant,
            workflow=call.workflow,
            instance_id=str(uuid4()) if id is None else id,
            input=call.input or b"",
            queue=await self._queue(queue),
            priority=priority,
            delay=None if delay is None else duration("delay=", delay),
            dedupe_key=dedupe,
        )
        return Handle(self._opened.instances, call, started.instance_id, created=started.created)

    def handle(self, workflow: Callable[..., Coroutine[Any, Any, R]], id: str) -> Handle[R]:
        """Return a handle of an instance that was started elsewhere; sends no request."""
        return Handle(self._opened.instances, _workflow(workflow), id, created=False)

    async def list(
        self,
        workflow: Callable[..., Coroutine[Any, Any, Any]] | str | None = None,
        *,
        status: str | None = None,
        since: Duration | datetime | None = None,
        error: str | None = None,
        blocked: bool | None = None,
    ) -> AsyncIterator[InstanceSummary]:
        """
        Return the tenant's instances, newest first.

        `status`: a word such as "failed". `since`: a time, or a duration before now; older ones are
        left out. `error`: a text that the instance's error contains.
        """
        name = workflow if workflow is None or isinstance(workflow, str) else None
        if workflow is not None and not isinstance(workflow, str):
            name = _workflow(workflow).name
        which = InstanceFilter(
            tenant_id=self.tenant,
            workflow=name,
            status=None if status is None else _status(status),
            created_after=_moment(since),
            error_contains=error,
            is_blocked=blocked,
        )
        async for one in self._opened.instances.list(which):
            yield one

    async def _queue(self, queue: Queue | str | None) -> str | None:
        """Return a queue's name, of a Queue once its bounds are known to the core."""
        if not isinstance(queue, Queue):
            return queue
        if queue not in self._queues:
            await self._opened.put_queue(self.tenant, queue)
            self._queues.add(queue)
        return queue.name

    @property
    def _opened(self) -> Connection:
        if self._connection is None:
            raise ClientNotOpen("this client is not open: use it inside `async with connect()`")
        return self._connection


def _workflow(given: Callable[..., Coroutine[Any, Any, R]]) -> Workflow[..., R]:
    if not isinstance(given, Workflow):
        raise TypeError(f"takes a function decorated with @workflow, got {given!r}")
    return cast("Workflow[..., R]", given)


def _status(word: str) -> Status:
    try:
        return Status(word)
    except ValueError:
        takes = ", ".join(each for each in Status if each is not Status.UNKNOWN)
        raise ValueError(f"status= takes {takes}, got {word!r}") from None


def _moment(since: Duration | datetime | None) -> datetime | None:
    if since is None or isinstance(since, datetime):
        return since
    return datetime.now(UTC) - duration("since=", since)
