"""Live calls: the durable calls of a run that are under way, and their waits."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from runtara_sdk.workflow.engine.abandon import abandon_tasks, tasks_in
from runtara_sdk.workflow.engine.calls import Branch, DurableCall, Wait
from runtara_sdk.workflow.engine.event_loop import call_in
from runtara_sdk.workflow.engine.run_end import RunEnd

T = TypeVar("T")


class LiveCalls:
    """
    The calls of one run that run live, and the branches that have not ended.

    `ended` is set whenever a call has ended. Call `on_change` when a call has ended or begun to
    wait, and when a branch has ended.
    """

    def __init__(
        self,
        root: Branch,
        end: RunEnd,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self.calls: set[DurableCall] = set()
        self.branches = {root}
        self.ended = asyncio.Event()
        self._end = end
        self._clock = clock
        self._tasks: set[asyncio.Task[object]] = set()
        self._finished_at: dict[Branch, datetime] = {}
        self.on_change = on_change

    def running(self, call: DurableCall) -> "_Running":
        """Register a live call, for cancellation and for the check whether all calls wait."""
        return _Running(self, call)

    def _begin(self, call: DurableCall) -> None:
        task = asyncio.current_task()
        assert task is not None
        call.begin(task)
        self._tasks.add(task)
        self.calls.add(call)

    def _finish(self, call: DurableCall) -> None:
        self.calls.discard(call)
        self.ended.set()
        if call.detached:
            self._finished_at[call.owner] = self._clock()
        if self.calls:
            self.on_change()

    def open_branch(self, branch: Branch) -> None:
        """Register a branch."""
        self.branches.add(branch)

    def close_branch(self, branch: Branch) -> None:
        """A branch has ended."""
        self.branches.discard(branch)
        self._finished_at.pop(branch, None)
        branch.release_task()

    def of(self, branch: Branch) -> bool:
        """Return whether calls that take a branch's time are under way."""
        return any(call.owner is branch for call in self.calls)

    def all_waiting(self) -> bool:
        """Return whether every branch has a call under way, and all calls wait."""
        busy = {call.owner for call in self.calls}
        return busy >= self.branches and all(map(_waits, self.calls))

    def waiting_since(self) -> list[datetime]:
        """Return since when all calls wait for values from outside; branches may still work."""
        began = [call.wait.since for call in self.calls if call.wait and call.wait.is_open]
        # The branch's own task may work while its calls in tasks of asyncio wait.
        awaiting = {call.owner for call in self.calls if not call.detached}
        others = self.branches - awaiting
        return began + [at for branch, at in self._finished_at.items() if branch in others]

    def new_wait(
        self,
        until: datetime | None = None,
        *,
        key: str | None = None,
        is_open: bool = False,
        reason: str = "",
    ) -> Wait:
        """Return a wait that begins now; `key`: the key of the record of its end."""
        future = asyncio.get_running_loop().create_future()
        return Wait(future, self._clock(), until, key, is_open, reason=reason)

    async def wait(self, call: DurableCall, wait: Wait) -> str | None:
        """Return None when the wait is over, or the key of the scope that cancelled the call."""
        timer = None
        if wait.until is not None:
            left = (wait.until - self._clock()).total_seconds()
            timer = call_in(left, wait.end)
        call.wait = wait
        self.on_change()
        try:
            cancelled_by = await wait.ended
        finally:
            call.wait = None
            if timer is not None:
                timer.cancel()
        if self._end.is_decided:
            await self._end.block()
        return cancelled_by

    async def let_end(
        self, work: Coroutine[Any, Any, T]
    ) -> "tuple[asyncio.Task[T], asyncio.CancelledError | None]":
        """
        Run this to its end in a task of ours, even if the awaiting task is cancelled.

        Returns the ended task, and the first CancelledError of the awaiting task, or None.
        """
        cancelled = None
        task, ended = asyncio.create_task(work), asyncio.Event()
        task.add_done_callback(lambda _: ended.set())
        self._tasks.add(task)
        while not task.done():
            try:
                await ended.wait()
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
        self._tasks.discard(task)
        return task, cancelled

    def keep(self, task: "asyncio.Task[None]") -> None:
        """Leave a task of ours where it is, too, at the end of the run."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release_paused(self) -> None:
        """Let calls that wait because the instance was to pause go on."""
        for call in self.calls:
            if call.wait is not None and call.wait.is_pause:
                call.wait.end()

    def abandon(self) -> None:
        """Leave all the workflow's tasks where they are."""
        known = {branch.task for branch in self.branches if branch.task is not None}
        if any(not task.done() for task in known):
            # The end of the loop would unwind a framework's tasks, and wait for those below them.
            known |= tasks_in(self.branches)
        abandon_tasks(known | self._tasks)
        # A failed task refers to its frames, and its context refers to it through this run. The
        # garbage collector would close a file of such a frame in the wrong order.
        self._tasks = {task for task in self._tasks if not task.done()}
        for branch in self.branches:
            branch.release_task()


class _Running:
    """A block in which a call is live; a generator would take twice the time."""

    __slots__ = ("_call", "_live")

    def __init__(self, live: LiveCalls, call: DurableCall) -> None:
        self._live, self._call = live, call

    def __enter__(self) -> None:
        self._live._begin(self._call)

    def __exit__(self, *raised: object) -> None:
        self._live._finish(self._call)


def _waits(call: DurableCall) -> bool:
    return call.wait is not None and not call.wait.ended.done()
