"""
Cancellation: decides which durable call is cancelled, records that, and raises the error.

A scope is *requested* when its deadline comes, a branch of its group fails or the instance is to be
cancelled; the calls that run in it are then ended. A call is *checked* before it begins its work.
In both cases the key of the scope is first recorded, under the call. Then CancelledError is raised.
A replay finds the record and raises at the same call, at any later time. The states of a scope are
in `cancel_scopes`.

User code can cancel a call as well, by a timeout or a task group of asyncio's. That is recorded
too, and a replay waits at the call until the code cancels it again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from runtara_sdk.workflow.engine.calls import Branch, DurableCall, Wait, current_branch, is_detached
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope, State
from runtara_sdk.workflow.engine.event_loop import call_in
from runtara_sdk.workflow.engine.keys import BY_CODE
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.records import VERSION, Kind, Record
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals

T = TypeVar("T")

CANCEL_AT_REST = f"{BY_CODE}-rests"
"""Ends a wait for a cancellation that the code does not make again."""


class CallCancelled(BaseException):
    """A scope has cancelled the live call; `record` has the scope's key."""

    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.record = record


class Cancellation:
    """Cancels one run's live calls, each once, and raises the cancellations of earlier runs."""

    def __init__(
        self,
        live: LiveCalls,
        signals: Signals,
        end: RunEnd,
        clock: Callable[[], datetime],
    ) -> None:
        self._live = live
        self._signals = signals
        self._end = end
        self._clock = clock
        self._timers: dict[CancelScope, asyncio.TimerHandle] = {}

    def open(self, branch: Branch, scope: CancelScope) -> None:
        """Enter a scope, which can cancel the branch's calls from here on."""
        if scope.deadline is not None:
            left = (scope.deadline - self._clock()).total_seconds()
            self._timers[scope] = call_in(left, self.request, scope)
        branch.scopes.enter(scope)

    def exit(
        self, branch: Branch, scope: CancelScope, error: BaseException | None
    ) -> list[CancelScope]:
        """Close a scope; return the scopes delivered inside it, perhaps with itself."""
        if scope in self._timers:
            self._timers.pop(scope).cancel()
        return branch.scopes.exit(scope, error)

    def request(self, scope: CancelScope) -> None:
        """Cancel the live calls in a scope, or else its next call."""
        if self._end.is_decided:
            return
        scope.request()
        for call in list(self._live.calls):
            if scope in call.active_scopes():
                call.cancel(scope.key)

    async def end_branch(self, branch: Branch) -> None:
        """
        Cancel the calls that an ended branch left running in tasks of asyncio, and await them.

        When `gather` raises, no code awaits the others: without this their effects would be lost.
        """
        await asyncio.sleep(0)  # Tasks created just now must first register their calls.
        branch.scopes.leftover.request()
        if self._live.of(branch):
            self.request(branch.scopes.leftover)
        while self._live.of(branch):
            self._live.ended.clear()
            await self._live.ended.wait()

    def close(self) -> None:
        """Stop all deadline timers."""
        for timer in self._timers.values():
            timer.cancel()

    async def check(self, call: DurableCall) -> None:
        """Wait while the instance is paused; raises CallCancelled if a scope cancels the call."""
        if self._end.is_decided:
            await self._end.block()
        if self._signals.is_pausing:
            await self.wait_while_paused(call)
        key = call.due_scope(self._clock())
        if key is not None:
            raise self.cancelled(call, key)

    def stops(self, call: DurableCall) -> bool:
        """Return whether `check` would not just return."""
        return (
            self._end.is_decided
            or self._signals.is_pausing
            or call.due_scope(self._clock()) is not None
        )

    async def interruptible(self, call: DurableCall, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work; a scope may end it, which raises CallCancelled."""
        call.task = call.runner
        try:
            return await work()
        except BaseException:
            if call.cancelled_by is None:
                raise
            key = call.cancelled_by
        finally:
            task, call.task = call.task, None
            if call.cancelled_by is not None and task is not None:
                task.uncancel()
                call.cancelled_by = None
        raise self.cancelled(call, key)

    async def uninterruptible(
        self, call: DurableCall, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Do the work to its end; a cancel by user code is raised after that."""
        task, call.cancelled_by_code = await self._live.let_end(work())
        if call.cancelled_by_code is not None and task.exception() is not None:
            raise call.cancelled_by_code
        return task.result()

    async def wait(self, call: DurableCall, wait: Wait) -> None:
        """Wait until it is over; raises CallCancelled if a scope cancels the call."""
        key = call.due_scope(self._clock()) or await self._live.wait(call, wait)
        if key is not None:
            raise self.cancelled(call, key)
        await self.wait_while_paused(call)

    def is_made_again(self, record: Record) -> bool:
        """Return whether the code, or the end of its branch, cancels again on replay."""
        return json.loads(record.value) in (BY_CODE, current_branch().scopes.leftover.key)

    async def wait_to_be_cancelled_again(self, call: DurableCall) -> None:
        """
        Wait at a call that user code, or the end of its branch, cancelled in an earlier run.

        Raises the CancelledError of the code. Returns if the branch ends, or if the code is idle
        and the instance is to be cancelled.
        """
        key = None
        while key not in (call.owner.scopes.leftover.key, CANCEL_AT_REST):
            if call.owner.scopes.leftover.state is State.REQUESTED:
                return
            wait = self._live.new_wait()
            wait.is_again = True
            key = await self._live.wait(call, wait)

    def end_waits_for_code(self) -> None:
        """Cancel, with the instance, the calls that the code does not cancel again."""
        for call in self._live.calls:
            if call.wait is not None and call.wait.is_again:
                call.cancel(CANCEL_AT_REST)

    async def wait_while_paused(self, call: DurableCall) -> None:
        """Return when the instance is not to pause."""
        while self._signals.is_pausing:
            wait = self._live.new_wait()
            wait.is_pause = True
            await self._live.wait(call, wait)

    def cancelled(self, call: DurableCall, key: str) -> CallCancelled:
        """Return the error that a scope of this key raises in a call's work."""
        return CallCancelled(self.record(call, key))

    def record(self, call: DurableCall, key: str) -> Record:
        """Return the record of a call that a scope cancelled, or user code (`BY_CODE`)."""
        record = call.record(Kind.CANCELLED, json.dumps(key, ensure_ascii=False).encode())
        return replace(record, version=VERSION) if key == BY_CODE else record

    def error(self, call: DurableCall, record: Record) -> asyncio.CancelledError:
        """Return the CancelledError of a record, which the branch is about to see."""
        key = json.loads(record.value)
        current_branch().scopes.mark_raised(
            key, in_own_task=not is_detached(), by_foreign_call=call.is_foreign
        )
        return asyncio.CancelledError(f"{key} at {call.key}")


def is_by_code(record: Record) -> bool:
    """Return whether a record says that user code cancelled the call."""
    return record.kind is Kind.CANCELLED and json.loads(record.value) == BY_CODE
