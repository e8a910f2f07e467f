"""The task of a branch."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from runtara_sdk.workflow.engine.calls import Branch, entered
from runtara_sdk.workflow.engine.cancellation import Cancellation

T = TypeVar("T")


class BranchTask(Generic[T]):
    """One branch of a group; `result` is to be asked for when the group has ended."""

    def __init__(self, task: "asyncio.Task[T]", branch: Branch) -> None:
        self._task = task
        self.branch = branch

    def when_done(self, call: "Callable[[BranchTask[T]], None]") -> None:
        """Call this when it has ended."""
        self._task.add_done_callback(lambda _: call(self))

    def result(self) -> T:
        """What the branch returned; raises what it raised, CancelledError if it was cancelled."""
        return self._task.result()

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self._task.done()

    @property
    def error(self) -> BaseException | None:
        """What it raised, if it did and was not cancelled."""
        return None if self._task.cancelled() else self._task.exception()


def start_branch(
    cancellation: Cancellation, branch: Branch, coroutine: Coroutine[Any, Any, T]
) -> BranchTask[T]:
    """Start a branch; what it leaves under way is ended with it."""
    with entered(branch):
        task = asyncio.create_task(_run_branch(cancellation, branch, coroutine), name=branch.path)
    branch.run_in(task)
    return BranchTask(task, branch)


async def _run_branch(
    cancellation: Cancellation, branch: Branch, coroutine: Coroutine[Any, Any, T]
) -> T:
    try:
        return await coroutine
    finally:
        await cancellation.end_branch(branch)
