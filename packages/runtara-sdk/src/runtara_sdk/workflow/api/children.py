"""Children: instances that a workflow starts, and whose ends wake it."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from runtara_sdk.client.records import NewChild
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api.bound import Call
from runtara_sdk.workflow.api.context import InWorkflow, required
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.cancellation import CallCancelled
from runtara_sdk.workflow.engine.child_starts import NotSent
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.keys import child_signal
from runtara_sdk.workflow.engine.outcome import Ended, Outcome, successor_in
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import (
    ChildNotStarted,
    NondeterminismError,
    StateUnreadable,
    WorkflowCancelled,
)
from runtara_sdk.workflow.user_objects import shown
from runtara_sdk.workflow.values import arguments

logger = get_logger(__name__)

R = TypeVar("R")

_OUTCOMES = {
    "completed": Outcome.DONE,
    "failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
}


def child(call: Call[R], *, id: str) -> Coroutine[Any, Any, R]:
    """
    Run a workflow as a separate instance, and return its result.

    `call` is made by the workflow's `bind`. `id` is the child's instance id, unique in the tenant;
    the call may therefore be made in any task that the workflow's code begins. The child is started
    once, in all runs of this instance. An error that the child names in `raises=` is raised in its
    own type, any other as WorkflowFailed, and a cancel of the child as WorkflowCancelled. When a
    timeout, a group or a cancel ends the wait, the child is cancelled. Raises ChildNotStarted if
    another instance has the id.
    """
    return _Child.of("child", call, id).whole()


def start_child(call: Call[R], *, id: str) -> "Coroutine[Any, Any, ChildHandle[R]]":
    """
    Start a workflow as a separate instance, as `child` does, and return a handle at once.

    While nothing awaits the handle's result, the child goes on when this instance ends or is
    cancelled.
    """
    started = _Child.of("start_child", call, id)

    async def start() -> ChildHandle[R]:
        await started.start()
        return ChildHandle(id, call)

    return start()


@dataclass(frozen=True)
class ChildHandle(Generic[R]):
    """A child that was started."""

    id: str
    _call: Call[R] = field(repr=False)

    def result(self) -> Coroutine[Any, Any, R]:
        """Wait for the child's result, as `child` does; call it once."""
        return _Child.of("child", self._call, self.id).result()


@dataclass(frozen=True)
class _Child(Generic[R]):
    """One durable call of a child."""

    id: str
    bound: Call[R]
    execution: Execution
    call: DurableCall

    @classmethod
    def of(cls, name: str, bound: Call[R], child_id: str) -> "_Child[R]":
        if not isinstance(bound, Call):
            raise TypeError(
                f"{name}() takes a call that is bound, got {shown(bound)}: give it"
                " workflow.bind(...)"
            )
        if not isinstance(child_id, str):
            raise TypeError(f"{name}(id=) takes a text, got {shown(child_id)}")
        where: InWorkflow = required(f"{name}(id={child_id!r})", key=child_id)
        call = where.next_call(name, key=child_id)
        said = (("workflow", bound.workflow), ("input", arguments.shown(bound.input)))
        call.arguments = arguments.LiveCall(arguments.Call(said))
        return cls(child_id, bound, where.execution, call)

    async def start(self) -> None:
        """Start the child; raises ChildNotStarted."""

        async def live() -> Record:
            record = self.call.record(Kind.RESULT, b"null")
            return await self._unless_cancelled(
                lambda: self.execution.stored(record, lambda made: self._begin(self.call, made))
            )

        begun = await self.execution.durable(self.call, live)
        if begun.kind is Kind.FAILURE:
            raise ChildNotStarted(json.loads(begun.value)["refused"])

    async def whole(self) -> R:
        """Start the child and wait for its end."""
        return await self._ended(await self.execution.durable(self.call, self._start_and_wait))

    async def result(self) -> R:
        """Wait for the end of a child that is started."""
        return await self._ended(await self.execution.durable(self.call, self._wait))

    async def _start_and_wait(self) -> Record:
        begun = self.call.part("started")
        record = await self.execution.recorder.recorded_under(self.call, "started")
        if record is None:
            started = begun.record(Kind.RESULT, b"null")
            record = await self._unless_cancelled(lambda: self._begin(begun, started))
        if record.kind is Kind.FAILURE:
            return self.call.record(Kind.FAILURE, record.value)
        return await self._wait()

    async def _unless_cancelled(self, start: Callable[[], Awaitable[Record]]) -> Record:
        """Start the child; if the call is cancelled before the record, cancel the child."""
        try:
            while True:
                await self.execution.departure.block_if_leaving(self.call)
                await self.execution.cancellation.check(self.call)
                with suppress(NotSent):
                    return await start()
        except (CallCancelled, asyncio.CancelledError):
            # A process that died before the record may have started it, or the request just sent.
            await self.execution.live.let_end(self._cancel())
            raise

    async def _begin(self, call: DurableCall, record: Record) -> Record:
        """Start the child and save the record of it; return the record that is stored now."""

        def refused(reason: str) -> Record:
            failure = call.record(Kind.FAILURE, json.dumps({"refused": reason}).encode())
            return failure if record.nth is None else failure.numbered(record.nth)

        child = NewChild(self.id, self.bound.workflow, self.bound.input)
        starts = self.execution.child_starts
        return await starts.start(child, call.key, record, refused, self._may_start)

    def _may_start(self) -> bool:
        execution = self.execution
        return not (execution.departure.is_asked or execution.cancellation.stops(self.call))

    async def _wait(self) -> Record:
        """Wait for the child's end; a cancellation of the wait also cancels the child."""
        execution, name = self.execution, child_signal(self.id)
        wait = execution.live.new_wait(is_open=True)
        try:
            with execution.inbox.expecting(name, wait):
                await execution.cancellation.wait(self.call, wait)
        except (CallCancelled, asyncio.CancelledError):
            # Before this is recorded: a process that dies between the two passes it on again.
            await execution.live.let_end(self._cancel())
            raise
        return await self._record_of(execution.inbox.value(name))

    async def _cancel(self) -> None:
        await self.execution.child_starts.cancel(self.id)

    async def _record_of(self, sent: bytes) -> Record:
        """Return the record of the child's end; only the child's status has a large output."""
        status = json.loads(sent)
        ended = Ended(_OUTCOMES[status["status"]], error=status["error"] or "")
        output = b64decode(status.get("output") or "")
        if "output" not in status:
            store = self.execution.store
            whole = await self.execution.end.call_core(lambda: store.ended_child(self.id))
            if whole is not None:
                output = whole.failure or whole.output
        problem = None if ended.outcome is not Outcome.DONE else self._problem(output)
        if ended.outcome is Outcome.DONE and problem is None:
            return self.call.record(Kind.RESULT, output).repeatable()
        said = {"outcome": ended.outcome, "error": problem or ended.error}
        if output and problem is None:
            said["failure"] = output.decode(errors="replace")
        return self.call.record(Kind.FAILURE, json.dumps(said, ensure_ascii=False).encode())

    def _problem(self, output: bytes) -> str | None:
        """Return why an output is no result; None if it is one."""
        successor = successor_in(self.id, output)
        if successor is not None:
            return (
                f"child {self.id!r} goes on as {successor!r}, whose end no parent gets: don't start"
                " a workflow as a child that calls continue_as_new"
            )
        try:
            json.loads(output)
        except ValueError:
            return f"child {self.id!r} has completed with an output that is no JSON"
        return None

    async def _ended(self, record: Record) -> R:
        """Return the child's result, or raise its error."""
        if record.kind is Kind.FAILURE:
            raise self._error(json.loads(record.value))
        try:
            if record.kind is not Kind.RESULT:
                raise NondeterminismError(
                    f"{self.call.key!r} was recorded as a {record.kind}, and is a child now"
                )
            return self.bound.decode_result(record.value)
        except (NondeterminismError, StateUnreadable) as error:
            await self.execution.end.finish_and_block(error)

    def _error(self, said: dict[str, str]) -> Exception:
        if "refused" in said:
            return ChildNotStarted(said["refused"])
        if said["outcome"] == Outcome.CANCELLED:
            return WorkflowCancelled(self.bound.workflow, said["error"])
        failure = said.get("failure")
        return self.bound.decode_failure(
            said["error"], None if failure is None else failure.encode()
        )
