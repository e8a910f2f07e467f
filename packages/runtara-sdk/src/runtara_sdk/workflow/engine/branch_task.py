"""The task of a branch."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from runtara_sdk.workflow.engine.calls import Branch
from runtara_sdk.workflow.engine.context import InWorkflow, entered

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
        """What the branch returned; raises what it raised, CancelledError if it was struck."""
        return self._task.result()

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self._task.done()

    @property
    def error(self) -> BaseException | None:
        """What it raised, if it did and was not cancelled."""
        return None if self._task.cancelled() else self._task.exception()


def begun(inside: InWorkflow, coroutine: Coroutine[Any, Any, T]) -> BranchTask[T]:
    """Begin a branch; what it leaves under way is ended with it."""
    branch = inside.branch
    with entered(inside):
        task = asyncio.create_task(_to_its_end(inside, coroutine), name=branch.path)
    branch.task = task
    return BranchTask(task, branch)


async def _to_its_end(inside: InWorkflow, coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    finally:
        await inside.run.strikes.end(inside.branch)
