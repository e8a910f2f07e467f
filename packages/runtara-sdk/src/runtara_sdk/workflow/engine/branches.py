"""
Branch groups: branches that run concurrently, and the parent branch that waits for all of them.

The first branch that fails, or a body that raises, cancels the rest: their scopes are requested, so
each ends at its next durable call. The group's end is recorded under its key: RESULT when every
branch had ended, with their number if some were not begun; or CANCELLED with the key of the scope
that cancelled the wait for them. A replay therefore opens the same branches, and a later cancel
does not reach a group that had ended.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from runtara_sdk.workflow.engine.calls import Branch, Wait, entered
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.cancellation import is_by_code
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.keys import BY_CODE
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.user_objects import is_a

T = TypeVar("T")


class BranchTask(Generic[T]):
    """One branch of a group; call `result` only after the group has ended."""

    def __init__(self, task: "asyncio.Task[T]", branch: Branch) -> None:
        self._task = task
        self.branch = branch

    def result(self) -> T:
        """Return the branch's result; raises its error, or CancelledError if it was cancelled."""
        return self._task.result()

    def done(self) -> bool:
        """Return whether the branch has ended."""
        return self._task.done()

    @property
    def error(self) -> BaseException | None:
        """Its error; None if it has none, or was cancelled."""
        return None if self._task.cancelled() else self._task.exception()


class BranchGroup:
    """
    `async with BranchGroup(execution, parent) as group`: branches below `parent`, all awaited.

    Raises an ExceptionGroup of the errors of branches and body, in the order in which the branches
    were opened; else the CancelledError of a scope that cancelled the wait for them. `call` is the
    group as a durable call, `branches` are the opened branches, and `on_branch_done` is called at
    the end of each.
    """

    def __init__(self, execution: Execution, parent: Branch) -> None:
        self.call = parent.next_call("group", is_counted=False)
        self.branches: list[BranchTask[Any]] = []
        self._execution = execution
        self._parent = parent
        self._scope = CancelScope(self.call.key)
        self._enclosing: tuple[CancelScope, ...] = ()
        self._recorded_end: Record | None = None
        self._running: set[BranchTask[Any]] = set()
        self._unopened: deque[tuple[str, Callable[[], Coroutine[Any, Any, Any]]]] = deque()
        self._limit = 0
        self._cancelled_by_code: asyncio.CancelledError | None = None
        self._is_cancelling = False
        self._is_truncated = False
        self._has_failed = False
        self._wait: Wait | None = None
        self.on_branch_done: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        self._recorded_end = await self._execution.recorder.recorded_or_skipped(self.call)
        self._enclosing = self._parent.pending_scopes()
        self._execution.cancellation.open(self._parent, self._scope)
        return self

    def open(self, path: str, coroutine: Coroutine[Any, Any, T]) -> BranchTask[T]:
        """Run a coroutine as a branch; one opened while the rest is cancelled does no work."""
        whole = CancelScope(self.call.key)
        if self._is_cancelling:
            whole.request()
        branch = Branch(
            path,
            whole,
            self._enclosing,
            from_finished_group=self._parent.from_finished_group or self._has_recorded_result(),
        )
        self._execution.live.open_branch(branch)
        with entered(branch):
            task = asyncio.create_task(self._run_branch(branch, coroutine), name=path)
        branch.run_in(task)
        child = BranchTask(task, branch)
        self.branches.append(child)
        self._running.add(child)
        task.add_done_callback(lambda _: self._branch_done(child))
        return child

    def open_each(
        self, starts: Iterable[tuple[str, Callable[[], Coroutine[Any, Any, Any]]]], limit: int
    ) -> None:
        """
        Open branches of these paths in this order, each when fewer than `limit` run.

        Once the group cancels its branches, it opens only branches that an earlier run had begun.
        """
        self._unopened.extend(starts)
        self._limit = limit
        self._open_next()

    def cancel_rest(self) -> None:
        """Let every branch that still runs be cancelled at its next durable call."""
        self._is_cancelling = True
        for child in self._running:
            if not child.done():
                self._execution.cancellation.request(child.branch.scopes.whole)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        was_cancelled = is_a(error, asyncio.CancelledError)
        self._execution.cancellation.exit(self._parent, self._scope, error)
        if error is not None:
            self.cancel_rest()
        cancelled = await self._wait_all(may_cancel=not was_cancelled)
        errors = [child.error for child in self.branches if child.error is not None]
        if error is not None and not was_cancelled:
            errors.append(error)
        if errors:
            self._parent.scopes.request_again(self._scope)
            raise BaseExceptionGroup(f"branches of {self.call.key} have failed", errors) from None
        if cancelled is not None and error is None:
            raise cancelled

    async def _run_branch(self, branch: Branch, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await coroutine
        finally:
            await self._execution.cancellation.end_branch(branch)

    def _branch_done(self, child: BranchTask[Any]) -> None:
        self._execution.live.close_branch(child.branch)
        self._running.discard(child)
        if child.error is not None and not self._has_failed:
            self._has_failed = True
            self.cancel_rest()
            if self._scope in self._parent.scopes:
                self._execution.cancellation.request(self._scope)
        elif child.branch.scopes.was_cancelled:
            # An earlier run cancelled it, because of a branch that fails after it in this run.
            self.cancel_rest()
        self._open_next()
        self.on_branch_done()
        if self._wait is not None:
            self._wait.end()
        self._execution.live.on_change()

    def _open_next(self) -> None:
        while self._unopened and len(self._running) < self._limit:
            if len(self.branches) == self._recorded_count():
                return
            path, start = self._unopened.popleft()
            if not self._is_cancelling or self._execution.replay.holds(path):
                self.open(path, start())
            else:
                self._is_truncated = True

    def _has_recorded_result(self) -> bool:
        return self._recorded_end is not None and self._recorded_end.kind is Kind.RESULT

    def _recorded_count(self) -> int | None:
        """How many branches it had if it ended in an earlier run with some not begun."""
        if self._recorded_end is None or self._recorded_end.kind is not Kind.RESULT:
            return None
        count: int | None = json.loads(self._recorded_end.value)
        return count

    async def _wait_all(self, *, may_cancel: bool) -> asyncio.CancelledError | None:
        """Wait for all branches; a scope that cancels the wait is recorded, and ends them."""
        live, cancelled = self._execution.live, None
        if self._recorded_end is not None and self._recorded_end.kind is Kind.CANCELLED:
            cancelled = self._cancelled_by(json.loads(self._recorded_end.value))
        # A later cancel does not reach a group whose end is recorded.
        is_live = may_cancel and self._recorded_end is None
        with live.running(self.call):
            # The last branch may have been cancelled by the scope that also cancels the group.
            while self._running or (self._is_cancelling and cancelled is None):
                is_cancellable = is_live and cancelled is None
                key = self.call.due_scope(self._execution.clock()) if is_cancellable else None
                if key is None:
                    if not self._running:
                        break
                    self._wait = live.new_wait()
                    key = await self._wait_for(self._wait)
                if key is not None and is_cancellable:
                    await self._record(self._execution.cancellation.record(self.call, key))
                    cancelled = self._cancelled_by(key)
            if is_live and cancelled is None:
                count = json.dumps(len(self.branches) if self._is_truncated else None)
                await self._record(Record(Kind.RESULT, count.encode()))
            if self._recorded_end is not None and is_by_code(self._recorded_end):
                await self._cancelled_again()
        await self._execution.departure.block_if_leaving()
        return self._cancelled_by_code or cancelled

    async def _wait_for(self, wait: Wait) -> str | None:
        """Return the key of the scope that cancels the wait, BY_CODE for user code, or None."""
        try:
            return await self._execution.live.wait(self.call, wait)
        except asyncio.CancelledError as error:
            self._cancelled_by_code = self._cancelled_by_code or error
            return BY_CODE

    async def _cancelled_again(self) -> None:
        """Wait until user code cancels the wait for branches, as it did in an earlier run."""
        if self._cancelled_by_code is None:
            try:
                await self._execution.cancellation.wait_to_be_cancelled_again(self.call)
            except asyncio.CancelledError as error:
                self._cancelled_by_code = error

    async def _record(self, record: Record) -> None:
        recorder, key = self._execution.recorder, self.call.key
        try:
            await recorder.record(key, record)
        except asyncio.CancelledError as error:
            self._cancelled_by_code = self._cancelled_by_code or error
            await self._execution.live.let_end(recorder.record(key, record))

    def _cancelled_by(self, key: str) -> asyncio.CancelledError:
        self._parent.scopes.mark_raised(key, in_own_task=True)
        self.cancel_rest()
        return asyncio.CancelledError(f"{key} at {self.call.key}")
