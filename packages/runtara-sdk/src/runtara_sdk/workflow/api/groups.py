"""Groups: branches of a workflow that run at the same time, each with a name of its own."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

from runtara_sdk.workflow.api.context import InWorkflow, required
from runtara_sdk.workflow.api.recorded import value_of
from runtara_sdk.workflow.engine.branch_task import BranchTask, start_branch
from runtara_sdk.workflow.engine.calls import Branch, Wait
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.records import Entry, Kind
from runtara_sdk.workflow.errors import ForeignTask
from runtara_sdk.workflow.user_objects import is_a

T = TypeVar("T")
Item = TypeVar("Item")


class TaskGroup:
    """
    `async with TaskGroup() as group`: run coroutines as branches, and wait for all of them.

    Fails as asyncio's does: when one fails the others are cancelled, at their durable calls, and
    an ExceptionGroup has what they raised, in the order in which they were created.
    """

    def __init__(self) -> None:
        self._where: InWorkflow | None = None
        self._children: list[BranchTask[Any]] = []
        self._running: set[BranchTask[Any]] = set()
        self._is_open = False
        self._is_aborting = False
        self._is_short = False
        self._has_failed = False
        self._wait: Wait | None = None
        self._on_done: Callable[[], None] | None = None

    async def __aenter__(self) -> "TaskGroup":
        where = required("TaskGroup()")
        self._where = where
        self._place = where.branch.next_call("group", is_counted=False)
        self._scope = CancelScope(self._place.key)
        self._joined = await where.execution.recorder.recorded_or_skipped(self._place)
        self._outer = where.branch.pending_scopes()
        self._is_open = True
        where.execution.cancellation.open(where.branch, self._scope)
        return self

    def create_task(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> BranchTask[T]:
        """
        Run a coroutine as a branch; a name used before in the same branch gets a number.

        Only inside the `async with`, and by the branch that entered it.
        """
        self._check_own(coroutine)
        return self._open(self._entered("create_task").branch.numbers.branch(name), coroutine)

    def _check_own(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        where = self._entered("create_task")
        if where.branch.task is not asyncio.current_task():
            coroutine.close()
            raise ForeignTask(
                f"create_task of {self._place.key} in another branch: who comes first would name"
                " its branches, so a replay could swap them; open a TaskGroup in this branch"
            )
        if not self._is_open:
            coroutine.close()
            raise RuntimeError(
                f"{self._place.key} has ended: create_task is for inside its `async with`"
            )

    def _open(self, path: str, coroutine: Coroutine[Any, Any, T]) -> BranchTask[T]:
        where = self._entered("create_task")
        is_joined = self._joined is not None and self._joined.kind is Kind.RESULT
        whole = CancelScope(self._place.key)
        if self._is_aborting:
            whole.request()
        branch = Branch(
            path,
            whole,
            self._outer,
            from_finished_group=where.branch.from_finished_group or is_joined,
        )
        where.execution.live.open_branch(branch)
        child = start_branch(where.execution.cancellation, branch, coroutine)
        self._children.append(child)
        self._running.add(child)
        child.when_done(self._done)
        return child

    def _most(self) -> int | None:
        """How many branches it had if an earlier run joined it with some not begun."""
        if self._joined is None or self._joined.kind is not Kind.RESULT:
            return None
        most: int | None = json.loads(self._joined.value)
        return most

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        where = self._entered("the end")
        self._is_open = False
        where.execution.cancellation.exit(where.branch, self._scope, error)
        if error is not None:
            self._abort()
        struck = await self._join(where.execution, may_strike=not _is_struck(error))
        errors = [child.error for child in self._children if child.error is not None]
        if error is not None and not _is_struck(error):
            errors.append(error)
        if errors:
            where.branch.scopes.request_again(self._scope)
            raise BaseExceptionGroup(f"branches of {self._place.key} have failed", errors) from None
        if struck is not None and error is None:
            raise struck

    def _entered(self, what: str) -> InWorkflow:
        if self._where is None:
            raise RuntimeError(f"{what} of a TaskGroup is for inside its `async with`")
        return self._where

    async def _join(
        self, execution: Execution, *, may_strike: bool
    ) -> asyncio.CancelledError | None:
        """Wait for all branches; what strikes meanwhile is saved, and ends them."""
        struck = None
        if self._joined is not None and self._joined.kind is Kind.STRUCK:
            struck = self._thrown(json.loads(self._joined.value))
        # One that was joined is not struck by what came later, nor is one that was struck.
        is_live = may_strike and self._joined is None
        with execution.live.running(self._place):
            while self._running:
                is_strikable = is_live and struck is None
                by = self._place.due_scope(execution.clock()) if is_strikable else None
                if by is None:
                    wait = execution.live.new_wait()
                    self._wait = wait
                    by = await execution.live.wait(self._place, wait)
                if by is not None and is_strikable:
                    await execution.cancellation.record(self._place, by, self._place.key)
                    struck = self._thrown(by)
            if is_live and struck is None:
                count = json.dumps(len(self._children) if self._is_short else None)
                await execution.recorder.record(self._place.key, Entry(Kind.RESULT, count.encode()))
        return struck

    def _thrown(self, by: str) -> asyncio.CancelledError:
        self._entered("the end").branch.scopes.mark_raised(by, in_own_task=True)
        self._abort()
        return asyncio.CancelledError(f"{by} at {self._place.key}")

    def _done(self, child: BranchTask[Any]) -> None:
        where = self._entered("a branch")
        where.execution.live.close_branch(child.branch)
        self._running.discard(child)
        if child.error is not None and not self._has_failed:
            self._has_failed = True
            self._abort()
            if self._scope in where.branch.scopes:
                where.execution.cancellation.request(self._scope)
        elif child.branch.scopes.was_cancelled:
            # Cancelled in an earlier run, by one that fails only after it in this one.
            self._abort()
        if self._on_done is not None:
            self._on_done()
        if self._wait is not None:
            self._wait.end()
        where.execution.live.branch_ended()

    def _abort(self) -> None:
        """Let every branch that still runs be struck at its next durable call."""
        self._is_aborting = True
        where = self._entered("a branch")
        for child in self._running:
            if not child.done():
                where.execution.cancellation.request(child.branch.scopes.whole)


async def map_steps(
    function: Callable[[Item], Coroutine[Any, Any, T]],
    items: Iterable[Item],
    *,
    key: Callable[[Item], str],
    limit: int = 10,
) -> list[T]:
    """
    Call a step, or a coroutine of steps, for each item, at most `limit` at once.

    Each item is a branch named by its `key`, which no other has. The results are in the order of
    the items, or of their keys where the items are a set; fails as TaskGroup does, and then begins
    no more.
    """
    execution = required("map_steps()").execution
    if limit < 1:
        raise ValueError(f"limit is at least 1, got {limit}")
    named = _named(items, key, is_old=execution.recorder.is_old)
    async with TaskGroup() as group:
        mapping = _Mapping(group, function, named, limit)
        group._on_done = mapping.feed
        mapping.feed()
    return [child.result() for child in mapping.children]


async def race(**branches: Coroutine[Any, Any, T]) -> tuple[str, T]:
    """
    Run coroutines as branches until one ends; gives its name and what it returned.

    Which one was first is saved, so that a replay goes the same way. The others are cancelled then,
    and awaited. Fails as TaskGroup does. A promise with a deadline is better put in a `timeout`,
    where a value that was sent in time counts though nobody was there to hear it.
    """
    if not branches:
        raise ValueError("race() is of at least one branch")
    required("race()")
    async with TaskGroup() as group:
        tasks = {name: group.create_task(one, name=name) for name, one in branches.items()}
        first = await _first(group, tasks)
        group._abort()
    return first, tasks[first].result()


async def _first(group: TaskGroup, tasks: Mapping[str, BranchTask[Any]]) -> str:
    where = required("race()")
    execution, place = where.execution, where.branch.next_call("race")

    async def live() -> Entry:
        wait = execution.live.new_wait()
        group._on_done = wait.end
        if any(task.done() for task in tasks.values()):
            wait.end()
        await execution.cancellation.wait(place, wait, place.key)
        first = next(name for name, task in tasks.items() if task.done())
        return place.record(Kind.RESULT, json.dumps(first, ensure_ascii=False).encode())

    entry = await execution.durable(place, live)
    return str(await value_of(execution, place, entry, str))


class _Mapping(Generic[Item, T]):
    """Opens a group's branches one after the other."""

    def __init__(
        self,
        group: TaskGroup,
        function: Callable[[Item], Coroutine[Any, Any, T]],
        named: Sequence[tuple[str, Item]],
        limit: int,
    ) -> None:
        self.children: list[BranchTask[T]] = []
        self._group, self._function, self._limit = group, function, limit
        self._where = group._entered("map_steps")
        numbers = self._where.branch.numbers
        self._left = deque((numbers.branch(name), item) for name, item in named)

    def feed(self) -> None:
        """Open branches up to the limit; when the group ends early, only those begun before."""
        most = self._group._most()
        while self._left and len(self._group._running) < self._limit:
            if len(self.children) == most:
                return
            path, item = self._left.popleft()
            if not self._group._is_aborting or self._where.execution.replay.holds(path):
                self.children.append(self._group._open(path, self._one(item)))
            else:
                self._group._is_short = True

    async def _one(self, item: Item) -> T:
        return await self._function(item)


def _named(
    items: Iterable[Item], key: Callable[[Item], str], *, is_old: bool
) -> list[tuple[str, Item]]:
    named = [(key(item), item) for item in items]
    if isinstance(items, set | frozenset) and not is_old:
        # Which comes first in it is another in each process.
        named.sort(key=lambda one: one[0])
    names = Counter(name for name, _ in named)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(f"map_steps: key gives {twice[0]!r} for more than one item")
    return named


def _is_struck(error: BaseException | None) -> bool:
    return is_a(error, asyncio.CancelledError)
