"""Groups: branches of a workflow that run at the same time, each with a name of its own."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from runtara_sdk.workflow.api.context import InWorkflow, required
from runtara_sdk.workflow.api.recorded import value_of
from runtara_sdk.workflow.engine.branches import BranchGroup, BranchTask
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NotInBranchTask

T = TypeVar("T")
Item = TypeVar("Item")


class TaskGroup:
    """
    `async with TaskGroup() as group`: run coroutines as branches, and wait for all of them.

    It fails as asyncio's does: when a branch fails, the others are cancelled at their durable
    calls. An ExceptionGroup has the errors, in the order in which the branches were created.
    """

    def __init__(self) -> None:
        self._group: BranchGroup | None = None
        self._where: InWorkflow | None = None
        self._is_open = False

    async def __aenter__(self) -> "TaskGroup":
        self._where = required("TaskGroup()")
        self._group = BranchGroup(self._where.execution, self._where.branch)
        await self._group.__aenter__()
        self._is_open = True
        return self

    def create_task(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> BranchTask[T]:
        """
        Run a coroutine as a branch; a name that was used before in the group gets a number.

        Call it only inside the `async with`, and in the branch that entered it.
        """
        if self._group is None or self._where is None:
            raise RuntimeError("create_task: call it inside the `async with` of its TaskGroup")
        branch, key = self._where.branch, self._group.call.key
        if branch.task is not asyncio.current_task():
            coroutine.close()
            raise NotInBranchTask(
                f"create_task of {key} in another branch: the order of the calls would"
                " name its branches, so a replay could swap them; open a TaskGroup in this branch"
            )
        if not self._is_open:
            coroutine.close()
            raise RuntimeError(f"{key} has ended: call create_task inside its `async with`")
        return self._group.open(branch.numbers.branch(name), coroutine)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._group is not None
        self._is_open = False
        await self._group.__aexit__(kind, error, traceback)


async def map_steps(
    function: Callable[[Item], Coroutine[Any, Any, T]],
    items: Iterable[Item],
    *,
    key: Callable[[Item], str],
    limit: int = 10,
) -> list[T]:
    """
    Call a step, or a coroutine of steps, for each item, at most `limit` at once.

    Each item is a branch, named by its `key`, which must be unique. The results are in the order of
    the items; for a set, in the order of the keys. It fails as TaskGroup does, and then begins no
    further branch.
    """
    where = required("map_steps()")
    if limit < 1:
        raise ValueError(f"limit= takes 1 or more, got {limit}")
    named = _named(items, key, is_old=where.execution.recorder.is_old)

    async def one(item: Item) -> T:
        return await function(item)

    async with BranchGroup(where.execution, where.branch) as group:
        path = where.branch.numbers.branch
        group.open_each([(path(name), partial(one, item)) for name, item in named], limit)
    return [branch.result() for branch in group.branches]


async def race(**branches: Coroutine[Any, Any, T]) -> tuple[str, T]:
    """
    Run coroutines as branches until one ends; return its name and its result.

    The name of the first one is saved, so that a replay returns the same. The others are cancelled
    and awaited. It fails as TaskGroup does. For a promise with a deadline use `timeout`: there a
    value that was sent in time counts even if no process ran then.
    """
    if not branches:
        raise ValueError("race() takes at least one branch")
    where = required("race()")
    async with BranchGroup(where.execution, where.branch) as group:
        path = where.branch.numbers.branch
        tasks = {name: group.open(path(name), one) for name, one in branches.items()}
        first = await _first(where, group, tasks)
        group.cancel_rest()
    return first, tasks[first].result()


async def _first(
    where: InWorkflow, group: BranchGroup, tasks: Mapping[str, BranchTask[Any]]
) -> str:
    execution, call = where.execution, where.branch.next_call("race")

    async def live() -> Record:
        wait = execution.live.new_wait()
        group.on_branch_done = wait.end
        if any(task.done() for task in tasks.values()):
            wait.end()
        await execution.cancellation.wait(call, wait)
        first = next(name for name, task in tasks.items() if task.done())
        return call.record(Kind.RESULT, json.dumps(first, ensure_ascii=False).encode())

    record = await execution.durable(call, live)
    return str(await value_of(execution, call, record, str))


def _named(
    items: Iterable[Item], key: Callable[[Item], str], *, is_old: bool
) -> list[tuple[str, Item]]:
    named = [(key(item), item) for item in items]
    if isinstance(items, set | frozenset) and not is_old:
        # A set has another order in each process.
        named.sort(key=lambda one: one[0])
    names = Counter(name for name, _ in named)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(f"map_steps: key gives {twice[0]!r} for more than one item")
    return named
