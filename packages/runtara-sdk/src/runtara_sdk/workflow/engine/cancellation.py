"""
Cancellation: where it is decided that a durable call is cancelled, recorded, and raised.

A scope is *requested* when its deadline comes, a branch of its group fails or the instance is to be
cancelled; the calls that run in it then are ended. A call is *checked* before it does its work. In
both cases the key of the scope is recorded first, under the call, and only then is CancelledError
raised: a replay finds the record and raises at the same call, whatever the time is by then. The
states of a scope are in `cancel_scopes`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NoReturn, TypeVar

from runtara_sdk.workflow.engine.calls import (
    Branch,
    DurableCall,
    Wait,
    current_branch,
    is_detached,
)
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.live_calls import LiveCalls, warn_of_foreign_cancel
from runtara_sdk.workflow.engine.raise_order import RaiseOrder
from runtara_sdk.workflow.engine.recorder import Recorder
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals

T = TypeVar("T")


class Cancellation:
    """Cancels the live calls of one run, each once, and raises what earlier runs cancelled."""

    def __init__(
        self,
        live: LiveCalls,
        recorder: Recorder,
        order: RaiseOrder,
        signals: Signals,
        end: RunEnd,
        clock: Callable[[], datetime],
    ) -> None:
        self._live = live
        self._recorder = recorder
        self._order = order
        self._signals = signals
        self._end = end
        self._clock = clock
        self._timers: dict[CancelScope, asyncio.TimerHandle] = {}

    def open(self, branch: Branch, scope: CancelScope) -> None:
        """Let the branch's calls from here on be cancelled by a scope."""
        if scope.deadline is not None:
            left = (scope.deadline - self._clock()).total_seconds()
            loop = asyncio.get_running_loop()
            self._timers[scope] = loop.call_later(max(left, 0), self.request, scope)
        branch.scopes.enter(scope)

    def exit(
        self, branch: Branch, scope: CancelScope, error: BaseException | None
    ) -> list[CancelScope]:
        """Close a scope; gives those that were delivered inside it, perhaps itself."""
        if scope in self._timers:
            self._timers.pop(scope).cancel()
        return branch.scopes.exit(scope, error)

    def request(self, scope: CancelScope) -> None:
        """Cancel what is live in a scope, or else the next call that will be."""
        if self._end.is_decided:
            return
        scope.request()
        for call in list(self._live.calls):
            if scope in call.active_scopes():
                call.cancel(scope.key)

    async def end_branch(self, branch: Branch) -> None:
        """
        Cancel what a branch that has ended left under way in tasks of asyncio's; wait for it.

        When `gather` raises, nobody waits for the others: without this an effect would be lost.
        """
        await asyncio.sleep(0)  # Tasks that were created just now register their calls.
        branch.scopes.leftover.request()
        if self._live.of(branch):
            self.request(branch.scopes.leftover)
        while self._live.of(branch):
            self._live.ended.clear()
            await self._live.ended.wait()

    def close(self) -> None:
        """Let no deadline cancel anything any more."""
        for timer in self._timers.values():
            timer.cancel()

    async def check(self, call: DurableCall) -> None:
        """Wait while the instance is paused; raise CancelledError if a scope cancels the call."""
        await self._end.ensure_running()
        await self.wait_while_paused(call)
        key = call.due_scope(self._clock())
        if key is not None:
            await self.cancel(call, key, call.key)

    async def interruptible(self, call: DurableCall, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, and let a scope end it: CancelledError is raised once that is recorded."""
        call.task = asyncio.current_task()
        assert call.task is not None
        try:
            return await work()
        except BaseException as error:
            if call.cancelled_by is None:
                warn_of_foreign_cancel(call, error)
                raise
            key = call.cancelled_by
        finally:
            task, call.task = call.task, None
            if call.cancelled_by is not None:
                task.uncancel()
                call.cancelled_by = None
        return await self.cancel(call, key, call.key)

    async def wait(self, call: DurableCall, wait: Wait, recorded_under: str) -> None:
        """Wait until it is over; raises CancelledError, recorded under this key."""
        key = call.due_scope(self._clock()) or await self._live.wait(call, wait)
        if key is not None:
            await self.cancel(call, key, recorded_under)
        await self.wait_while_paused(call)

    async def wait_while_paused(self, call: DurableCall) -> None:
        """Return when the instance is not to pause."""
        while self._signals.is_pausing:
            wait = self._live.new_wait()
            wait.is_pause = True
            await self._live.wait(call, wait)

    async def cancel(self, call: DurableCall, key: str, recorded_under: str) -> NoReturn:
        """Record that a scope cancelled the call, then raise CancelledError."""
        await self.raise_recorded(call, await self.record(call, key, recorded_under))

    async def record(self, call: DurableCall, key: str, recorded_under: str) -> Record:
        """Record that a scope cancelled the call."""
        text, nth = json.dumps(key, ensure_ascii=False).encode(), self._order.reserve()
        if recorded_under == call.key:
            record = call.record(Kind.CANCELLED, text, nth)
        else:
            record = Record(Kind.CANCELLED, text, nth=nth)
        await self._recorder.record(recorded_under, record)
        return record

    async def raise_recorded(self, call: DurableCall, record: Record) -> NoReturn:
        """Raise the CancelledError that is recorded, as in the run that recorded it."""
        await self._order.come(record.nth)
        key = json.loads(record.value)
        current_branch().scopes.mark_raised(key, in_own_task=not is_detached())
        raise asyncio.CancelledError(f"{key} at {call.key}")
