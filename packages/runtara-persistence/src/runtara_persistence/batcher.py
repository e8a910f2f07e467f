"""Gathers concurrent steps into groups; a group shares one round trip and one commit."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")
Member = TypeVar("Member", bound="Waiting[Any, Any]")

Begin: TypeAlias = "Callable[[Group[Member]], None]"
Execute: TypeAlias = "Callable[[Sequence[Step]], Awaitable[Sequence[Outcome]]]"

MAX_BYTES = 8 * 1024 * 1024
"""The most bytes that the steps of a group store together; a single step may store more."""


@dataclass(slots=True, eq=False)
class Waiting(Generic[Step, Outcome]):
    """
    A step and the future of its outcome, which a caller awaits unless the caller was cancelled.

    keys: of two steps with a common key, the later waits for the earlier. size: the bytes that the
    step stores.
    """

    step: Step
    future: "asyncio.Future[Outcome]"
    keys: tuple[Hashable, ...] = ()
    size: int = 0

    def end(self, outcome: Outcome) -> None:
        """Give the caller the outcome, unless the caller was cancelled."""
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Raise an error in the caller, in place of the outcome."""
        if not self.future.done():
            self.future.set_exception(error)


class Batcher(ABC, Generic[Member]):
    """
    Gathers steps into groups; two steps with a common key are never under way at once.

    Steps begin in their order, except that a step that waits for one with a common key is
    overtaken. most: the largest number of steps in a group, which bounds the wait of its first
    step. groups: how many groups may be under way at once. lead: for how many iterations of the
    event loop a step waits for others while fewer than `groups` are under way. pause: how many
    iterations lie between two groups, so that callers that were just answered can join the next
    group. After a group of one step, while no step waits, it is one iteration.
    """

    def __init__(self, *, most: int, groups: int = 1, lead: int = 1, pause: int = 1) -> None:
        self._most = most
        self._groups = groups
        self._lead = lead
        self._pause = pause
        self._waiting: deque[Member] = deque()
        self._under_way: set[Hashable] = set()
        self._busy = 0
        self._overdue: Group[Member] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, member: Member) -> None:
        """
        Execute a step; its future gets the outcome.

        If the caller is cancelled before the step has begun, the step is dropped.
        """
        self._waiting.append(member)
        self._begin_if_room()

    @property
    def has_waiting(self) -> bool:
        """Whether a step waits to begin."""
        return bool(self._waiting)

    async def finished(self) -> None:
        """Return when no step is under way or waits: each has its outcome, or was dropped."""
        await self._idle.wait()

    def ended(self, group: "Group[Member]") -> None:
        """Begin the next group; a group calls this when it has ended."""
        self._under_way -= group.keys
        if group is self._overdue:
            self._overdue = None
            if self._busy > self._groups:
                self._end_turn()
                return
        is_alone = len(group.members) == 1 and not self._waiting
        self._begin_after(1 if is_alone else self._pause)

    def _begin_if_room(self) -> None:
        if self._busy - (self._overdue is not None) < self._groups:
            self._busy += 1
            self._idle.clear()
            # The group begins after the tasks that are ready now, so that they can join it.
            self._begin_after(self._lead)

    def _end_turn(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    @abstractmethod
    def _begin_after(self, iterations: int) -> None:
        """Choose and begin a group after so many iterations of the event loop, one or more."""

    def _chosen(self) -> "Group[Member] | None":
        """Return the next group, which is under way from now on; None if no step can begin."""
        group = self._next_group()
        if group.members:
            self._under_way |= group.keys
            return group
        self._end_turn()
        return None

    def _next_group(self) -> "Group[Member]":
        group = Group(self)
        left: list[Member] = []
        size = 0
        while self._waiting and len(group.members) < self._most and size <= MAX_BYTES:
            member = self._waiting.popleft()
            if member.future.done():
                continue
            keys = member.keys
            if not (group.keys.isdisjoint(keys) and self._under_way.isdisjoint(keys)):
                left.append(member)
                continue
            if group.members and size + member.size > MAX_BYTES:
                left.append(member)
                break
            group.keys.update(keys)
            size += member.size
            group.members.append(member)
        self._waiting.extendleft(reversed(left))
        return group


@dataclass(slots=True, eq=False)
class Group(Generic[Member]):
    """
    Steps that are executed together, with the callers that wait; a group is ended once.

    timer: fires when the group becomes overdue; None if the batcher has no patience limit.
    """

    batcher: Batcher[Member]
    members: list[Member] = field(default_factory=list)
    keys: set[Hashable] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None

    def end(self, outcomes: Sequence[Any]) -> None:
        """Give each step its outcome, in order."""
        for member, outcome in zip(self.members, outcomes, strict=True):
            member.end(outcome)
        self.batcher.ended(self)

    def fail(self, error: Exception) -> None:
        """Give each step the error in place of its outcome."""
        for member in self.members:
            member.fail(error)
        self.batcher.ended(self)


class CallBatcher(Batcher[Member]):
    """
    A batcher that calls a function for each group.

    begin: starts a group, and must end it in the event loop, at once or later; if `begin` raises,
    the group has not begun. alternate: from so many callers on, two groups alternate: a group
    begins as soon as half of the callers wait, so the other half goes on while it is under way.
    """

    def __init__(
        self, begin: "Begin[Member]", *, most: int, pause: int, alternate: float = math.inf
    ) -> None:
        super().__init__(most=most, pause=pause)
        self._begin = begin
        self._alternate = alternate
        self._half: float = math.inf
        self._next: asyncio.Handle | None = None

    @property
    def is_alternating(self) -> bool:
        """Whether two groups alternate."""
        return self._half < math.inf

    def add(self, member: Member) -> None:
        super().add(member)
        if self._next is not None and len(self._waiting) >= self._half:
            self._next.cancel()
            self._begin_next()

    def ended(self, group: Group[Member]) -> None:
        callers = len(group.members) + len(self._waiting)
        self._half = callers // 2 if callers >= self._alternate else math.inf
        super().ended(group)

    def _begin_after(self, iterations: int) -> None:
        if iterations and len(self._waiting) < self._half:
            loop = asyncio.get_running_loop()
            self._next = loop.call_soon(self._begin_after, iterations - 1)
        else:
            self._begin_next()

    def _begin_next(self) -> None:
        self._next = None
        if (group := self._chosen()) is not None:
            try:
                self._begin(group)
            except Exception as error:
                group.fail(error)


class TaskBatcher(Batcher[Waiting[Step, Outcome]], Generic[Step, Outcome]):
    """
    A batcher that executes each group in a task of its own.

    The task chooses its group when it first runs, an iteration after the task was created. So a
    step that is added before that can join the group. It is made without the loop's task factory,
    because a task of an eager one would run at once.

    patience: the seconds after which a group is overdue: another group may then be under way beside
    it. At most one group is overdue at once.
    """

    def __init__(
        self,
        execute: "Execute[Step, Outcome]",
        *,
        most: int,
        groups: int,
        lead: int = 1,
        patience: float = math.inf,
    ) -> None:
        super().__init__(most=most, groups=groups, lead=lead)
        self._execute = execute
        self._patience = patience
        self._work: set[asyncio.Task[None]] = set()

    def _begin_after(self, iterations: int) -> None:
        if iterations > 1:
            asyncio.get_running_loop().call_soon(self._begin_after, iterations - 1)
            return
        work = asyncio.Task(self._execute_next(), loop=asyncio.get_running_loop())
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _execute_next(self) -> None:
        group = self._chosen()
        if group is None:
            return
        if self._patience < math.inf:
            self._expect(group)
        try:
            outcomes = await self._execute([member.step for member in group.members])
        except Exception as error:
            group.fail(error)
        else:
            group.end(outcomes)
        finally:
            if group.timer is not None:
                group.timer.cancel()

    def _expect(self, group: "Group[Waiting[Step, Outcome]]") -> None:
        loop = asyncio.get_running_loop()
        group.timer = loop.call_later(self._patience, self._is_late, group)

    def _is_late(self, group: "Group[Waiting[Step, Outcome]]") -> None:
        if self._overdue is not None:
            self._expect(group)
            return
        self._overdue = group
        if self._waiting:
            self._begin_if_room()
