"""Steps that wait at the same time, gathered so that they share a trip and a commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")
Turn = TypeVar("Turn", bound="Waiting[Any, Any]")

Begin: TypeAlias = "Callable[[Group[Turn]], None]"
CarryOut: TypeAlias = "Callable[[Sequence[Step]], Awaitable[Sequence[Outcome]]]"

MAX_BYTES = 8 * 1024 * 1024
"""How much the steps of a group bring together, unless one alone brings more."""


@dataclass(slots=True, eq=False)
class Waiting(Generic[Step, Outcome]):
    """
    A caller that waits for the outcome of a step, unless it was cancelled.

    key: of steps with the same one, the later waits for the earlier; None is no key. size: the
    bytes that the step brings.
    """

    step: Step
    future: "asyncio.Future[Outcome]"
    key: Hashable = None
    size: int = 0

    def end(self, outcome: Outcome) -> None:
        """Give the outcome."""
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Give an error in place of the outcome."""
        if not self.future.done():
            self.future.set_exception(error)


class Batcher(Generic[Turn]):
    """
    Gathers steps into groups, so many of them at once; never two of the same key.

    Steps keep the order in which they came. begin: sets about carrying out a group, which it must
    end in the event loop, at once or later; it raises only if it has not begun. most: how many
    steps a group has at most, so that the first of them doesn't wait for ever more. lead: how many
    turns of the loop a step waits for others when no group is under way. pause: how many turns lie
    between two groups, for those just answered to join the next; one if a single caller is there.
    """

    def __init__(
        self, begin: "Begin[Turn]", *, most: int, groups: int = 1, lead: int = 1, pause: int = 1
    ) -> None:
        self._begin = begin
        self._most = most
        self._groups = groups
        self._lead = lead
        self._pause = pause
        self._waiting: deque[Turn] = deque()
        self._under_way: set[Hashable] = set()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, turn: Turn) -> None:
        """
        Have a step carried out; its future tells what has come of it.

        If its caller is cancelled and the step has not begun, it is dropped; otherwise it is
        carried out.
        """
        self._waiting.append(turn)
        if self._busy < self._groups:
            self._busy += 1
            self._idle.clear()
            # After the tasks that are ready now, for them to join.
            self._begin_after(self._lead)

    async def finished(self) -> None:
        """Return when each step that was added has its outcome."""
        await self._idle.wait()

    def ended(self, group: "Group[Turn]") -> None:
        """Go on with those that wait; groups call this themselves."""
        self._under_way -= group.keys
        is_alone = len(group.turns) == 1 and not self._waiting
        self._begin_after(1 if is_alone else self._pause)

    def _begin_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._begin_after, turns - 1)
        else:
            self._begin_next()

    def _begin_next(self) -> None:
        group = self._next_group()
        if not group.turns:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
            return
        self._under_way |= group.keys
        try:
            self._begin(group)
        except Exception as error:
            group.fail(error)

    def _next_group(self) -> "Group[Turn]":
        group = Group(self)
        left: list[Turn] = []
        size = 0
        while self._waiting and len(group.turns) < self._most and size <= MAX_BYTES:
            turn = self._waiting.popleft()
            if turn.future.done():
                continue
            if turn.key in group.keys or turn.key in self._under_way:
                left.append(turn)
                continue
            if group.turns and size + turn.size > MAX_BYTES:
                left.append(turn)
                break
            if turn.key is not None:
                group.keys.add(turn.key)
            size += turn.size
            group.turns.append(turn)
        self._waiting.extendleft(reversed(left))
        return group


@dataclass(slots=True, eq=False)
class Group(Generic[Turn]):
    """Steps that are carried out together, and the callers that wait for them; ended once."""

    batcher: Batcher[Turn]
    turns: list[Turn] = field(default_factory=list)
    keys: set[Hashable] = field(default_factory=set)

    def end(self, outcomes: Sequence[Any]) -> None:
        """Give each step its outcome, in order."""
        for turn, outcome in zip(self.turns, outcomes, strict=True):
            turn.end(outcome)
        self.batcher.ended(self)

    def fail(self, error: Exception) -> None:
        """Give each an error in place of its outcome."""
        for turn in self.turns:
            turn.fail(error)
        self.batcher.ended(self)


class InTasks(Generic[Step, Outcome]):
    """Carries out each group in a task of its own."""

    def __init__(self, carry_out: "CarryOut[Step, Outcome]") -> None:
        self._carry_out = carry_out
        self._work: set[asyncio.Task[None]] = set()

    def __call__(self, group: Group[Waiting[Step, Outcome]]) -> None:
        """Begin with a group."""
        work = asyncio.create_task(self._carry_out_group(group))
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def _carry_out_group(self, group: Group[Waiting[Step, Outcome]]) -> None:
        try:
            outcomes = await self._carry_out([turn.step for turn in group.turns])
        except Exception as error:
            group.fail(error)
        else:
            group.end(outcomes)
