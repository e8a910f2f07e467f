"""A handle: one instance, as its client sees it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar, overload

from runtara.core import Instances
from runtara.retrying import plan_for
from runtara_management_sdk import Instance, Sent, Status
from runtara_sdk.errors import InstanceNotFound
from runtara_sdk.workflow import Promise, RetryPlan, WorkflowCancelled, plan_fork, values
from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.engine.outcome import successor_in

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Endings(Protocol[R_co]):
    """Reads the ends of a workflow's instances: a workflow, or a bound call of one."""

    def decode_result(self, output: bytes) -> R_co:
        """Read an output."""
        ...

    def decode_failure(self, error: str, failure: bytes | None) -> Exception:
        """Return the error to raise for a failed instance."""
        ...


@dataclass(frozen=True, slots=True)
class Forked(Generic[R]):
    """A copy of an instance. repeated: the recorded calls that it makes again, in their order."""

    handle: "Handle[R]"
    repeated: tuple[str, ...]


class Handle(Generic[R]):
    """
    An instance of a workflow, by its id; an instance may have any number of handles.

    Calls raise InstanceNotFound for an unknown id, InvalidInstanceState if the instance's state
    does not allow the call, and ConnectionFailed or DatabaseFailed if the core can't be reached.
    """

    def __init__(
        self, instances: Instances, endings: Endings[R], instance_id: str, *, created: bool
    ) -> None:
        self._instances = instances
        self._endings = endings
        self.id = instance_id
        self.created = created
        """Whether the start that gave this handle created the instance."""

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    async def result(self, timeout: Duration | None = None) -> R:  # noqa: ASYNC109
        """
        Wait for the instance's end, and return the workflow's result.

        An error that the workflow names in `raises=` is raised in its own type, any other as
        WorkflowFailed, a cancel as WorkflowCancelled. Raises TimeoutError after `timeout` (the
        instance goes on), and StateUnreadable if the output is not of the annotated type. If the
        instance continues as another one, the call waits for that one.
        """
        loop = asyncio.get_running_loop()
        until = None
        if timeout is not None:
            until = loop.time() + duration("timeout=", timeout).total_seconds()
        instance_id = self.id
        while True:
            within = None if until is None else timedelta(seconds=max(until - loop.time(), 0))
            found = await self._instances.wait(instance_id, within)
            if not found.status.is_final:
                raise TimeoutError(
                    f"instance {instance_id!r} has not ended in time and goes on: it is"
                    f" {found.status}"
                )
            successor = successor_in(instance_id, found.output or b"")
            if found.status is not Status.COMPLETED or successor is None:
                return self._result_of(found)
            instance_id = successor

    async def status(self) -> Instance:
        """Return the instance's status, its waits with their times, its progress and its error."""
        found = await self._instances.get(self.id)
        if found is None:
            raise InstanceNotFound(f"Instance {self.id!r} not found")
        return found

    @overload
    async def send(self, promise: Promise[T], value: T) -> Sent: ...

    @overload
    async def send(self, promise: str, value: object) -> Sent: ...

    async def send(self, promise: Promise[Any] | str, value: object) -> Sent:
        """
        Send a value to a promise of the workflow; the first value sent to it stands.

        Raises NotSerializable for a value that is not of the promise's type. The result has a
        `warning` if the instance is not known to wait for the promise now. A promise that is given
        as a name takes any value, written by the value's type; bytes are sent unchanged.
        """
        if isinstance(promise, Promise):
            name, payload = promise.signal, promise.payload(value)
        elif isinstance(value, bytes):
            name, payload = promise, value
        else:
            what = f"the value for {promise!r}"
            name, payload = promise, values.codec.output(what, value, type(value))
        return await self._instances.send(self.id, name, payload)

    async def cancel(self, reason: str = "") -> None:
        """Send the instance a cancel: it cleans up and ends. Does not wait for the end."""
        await self._instances.cancel(self.id, reason.encode())

    async def pause(self) -> None:
        """Send the instance a pause: it suspends at its next durable call until it is resumed."""
        await self._instances.pause(self.id)

    async def resume(self) -> None:
        """Let an instance go on now that is paused, asleep, blocked or in back-off."""
        await self._instances.resume(self.id)

    async def retry(self) -> RetryPlan:
        """
        Let a failed or cancelled instance go on; its recorded results stay.

        The recorded failures that led to its end are set aside, and their calls are made again. The
        result lists these calls. Retry failed children before their parent.
        """
        plan = await plan_for(self._instances, self.id)
        await self._instances.retry(self.id, forget=plan.forget)
        return plan

    async def fork(self, before: str | None = None, *, id: str | None = None) -> Forked[R]:
        """
        Start a copy with the history before a call; without `before`, with the whole history.

        `before` is a call's key such as "charge#1"; further records of that call, such as an
        intent, are not copied either. `id` is the copy's id; without it the client makes one.
        Raises WorkflowError for a call that the instance has not made.
        """
        plan = None
        if before is not None:
            plan = plan_fork(await self._instances.history(self.id), before)
        forked = await self._instances.fork(
            self.id, new_instance_id=id, before=None if plan is None else plan.before
        )
        handle = Handle(self._instances, self._endings, forked.instance_id, created=True)
        return Forked(handle, () if plan is None else plan.again)

    def _result_of(self, found: Instance) -> R:
        match found.status:
            case Status.FAILED:
                error = found.error or "no reason was given"
                raise self._endings.decode_failure(error, found.output)
            case Status.CANCELLED:
                raise WorkflowCancelled(found.workflow or "", found.error or "")
        return self._endings.decode_result(found.output or b"null")
