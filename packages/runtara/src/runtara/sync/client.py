"""The client for code without a loop."""

from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

import runtara.client
import runtara.handle
from runtara.worker import AnyWorkflow
from runtara_management_sdk import Instance, InstanceSummary, Sent
from runtara_management_sdk.loop import LoopThread
from runtara_sdk.workflow import Call, Promise, RetryPlan
from runtara_sdk.workflow.duration import Duration

R = TypeVar("R")
T = TypeVar("T")


def connect(where: str | None = None, *, tenant: str | None = None) -> "Client":
    """Return a client, used as `with connect() as client:`; otherwise as `runtara.connect`."""
    return Client(runtara.client.connect(where, tenant=tenant))


class Client:
    """
    Starts instances and finds them, between `with` and its end; threads may share it.

    A call outside of `with`, and one under way when another thread leaves it, raises ClientNotOpen.
    """

    def __init__(self, client: runtara.client.Client) -> None:
        self._client = client
        self._loop = LoopThread("runtara-client")

    def __enter__(self) -> Self:
        self._loop.start()
        try:
            self._loop.run(self._client.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._loop.run(self._client.__aexit__(kind, error, traceback))
        finally:
            self._loop.stop()

    def start(
        self,
        call: Call[R],
        **options: Unpack[runtara.client.StartOptions],
    ) -> "Handle[R]":
        """Start an instance of `workflow.bind(...)`; as `runtara.Client.start`."""
        return Handle(self._loop, self._loop.run(self._client.start(call, **options)))

    def handle(self, workflow: Callable[..., Coroutine[Any, Any, R]], id: str) -> "Handle[R]":
        """Return a handle of an instance that was started elsewhere; sends no request."""
        return Handle(self._loop, self._client.handle(workflow, id))

    def list(
        self,
        workflow: AnyWorkflow | str | None = None,
        *,
        status: str | None = None,
        since: Duration | datetime | None = None,
        error: str | None = None,
        blocked: bool | None = None,
    ) -> Iterator[InstanceSummary]:
        """Yield the tenant's instances, newest first; as `runtara.Client.list`."""
        found = self._client.list(
            workflow, status=status, since=since, error=error, blocked=blocked
        )
        return self._loop.iterate(found)


class Handle(Generic[R]):
    """One instance of a workflow; as `runtara.Handle`."""

    def __init__(self, loop: LoopThread, handle: runtara.handle.Handle[R]) -> None:
        self._loop, self._handle = loop, handle
        self.id = handle.id
        self.created = handle.created

    def __repr__(self) -> str:
        return repr(self._handle)

    def result(self, timeout: Duration | None = None) -> R:
        """Wait for the end, and return the workflow's result or raise its error."""
        return self._loop.run(self._handle.result(timeout))

    def status(self) -> Instance:
        """Return the instance's status; as `runtara.Handle.status`."""
        return self._loop.run(self._handle.status())

    def send(self, promise: Promise[T], value: T) -> Sent:
        """Send a value to a promise of the workflow."""
        return self._loop.run(self._handle.send(promise, value))

    def cancel(self, reason: str = "") -> None:
        """Ask it to clean up and end."""
        self._loop.run(self._handle.cancel(reason))

    def pause(self) -> None:
        """Ask it to suspend until it is resumed."""
        self._loop.run(self._handle.pause())

    def resume(self) -> None:
        """Let it go on now."""
        self._loop.run(self._handle.resume())

    def retry(self) -> RetryPlan:
        """Let a failed or cancelled instance go on; return the keys of repeated calls."""
        return self._loop.run(self._handle.retry())

    def fork(self, before: str | None = None, *, id: str | None = None) -> "Forked[R]":
        """Start a copy with the history before a call."""
        forked = self._loop.run(self._handle.fork(before, id=id))
        return Forked(Handle(self._loop, forked.handle), forked.repeated)


class Forked(Generic[R]):
    """A copy of an instance, and the recorded calls that it makes again."""

    def __init__(self, handle: Handle[R], repeated: tuple[str, ...]) -> None:
        self.handle, self.repeated = handle, repeated
