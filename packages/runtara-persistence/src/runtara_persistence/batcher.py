"""Steps of callers who wait at the same time, gathered so that they share a trip and a commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")

CarryOut: TypeAlias = "Callable[[Sequence[Step]], Awaitable[Sequence[Outcome]]]"

MAX_BYTES = 8 * 1024 * 1024
"""How much the steps of a group bring together, unless one alone brings more."""


def _weightless(step: object) -> int:
    return 0


class Batcher(Generic[Step, Outcome]):
    """
    Carries out steps a group at a time, so many groups at once; never two of the same key.

    Steps keep the order in which they came. most: how many steps a group has at most, so that the
    first of them doesn't wait for ever more. pause: how many turns of the loop lie between two
    groups, for those just answered to join the next; one turn if a single caller is there. key: of
    steps with the same one, the later waits for the earlier. size: the bytes that a step brings.
    """

    def __init__(
        self,
        carry_out: "CarryOut[Step, Outcome]",
        *,
        most: int,
        groups: int = 1,
        pause: int = 1,
        key: Callable[[Step], Hashable] = id,
        size: Callable[[Step], int] = _weightless,
    ) -> None:
        self._carry_out = carry_out
        self._most = most
        self._groups = groups
        self._pause = pause
        self._key = key
        self._size = size
        self._waiting: deque[Waiting[Step, Outcome]] = deque()
        self._under_way: set[Hashable] = set()
        self._work: set[asyncio.Task[None]] = set()

    async def run(self, step: Step) -> Outcome:
        """
        Carry out a step, and return or raise what comes of it.

        A cancelled caller gets its cancellation at once; its step is dropped if it has not begun,
        and otherwise carried out.
        """
        turn = Waiting[Step, Outcome](step, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        if len(self._work) < self._groups:
            # It begins after the tasks that are ready now: their steps join the group.
            self._work.add(asyncio.create_task(self._carry_out_all()))
        return await turn.future

    async def finished(self) -> None:
        """Return when each step that was handed in has its outcome."""
        if self._work:
            await asyncio.wait(self._work)

    async def _carry_out_all(self) -> None:
        try:
            while group := self._next_group():
                await self._carry_out_group(group)
                is_alone = len(group) == 1 and not self._waiting
                for _ in range(1 if is_alone else self._pause):
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            # The loop is coming to its end.
            for turn in self._waiting:
                turn.future.cancel()
            raise
        finally:
            # Not in a callback of the task: a caller who came before that would wait for ever.
            self._work -= {task for task in self._work if task is asyncio.current_task()}

    async def _carry_out_group(self, group: "Sequence[Waiting[Step, Outcome]]") -> None:
        keys = {self._key(turn.step) for turn in group}
        self._under_way |= keys
        try:
            outcomes = await self._carry_out([turn.step for turn in group])
        except Exception as error:
            for turn in group:
                turn.fail(error)
        else:
            for turn, outcome in zip(group, outcomes, strict=True):
                turn.end(outcome)
        finally:
            self._under_way -= keys
            for turn in group:
                # Left without an outcome only if this task was cancelled, at the end of the loop.
                turn.future.cancel()

    def _next_group(self) -> "list[Waiting[Step, Outcome]]":
        group: list[Waiting[Step, Outcome]] = []
        left: list[Waiting[Step, Outcome]] = []
        keys: set[Hashable] = set()
        size = 0
        while self._waiting and len(group) < self._most and size <= MAX_BYTES:
            turn = self._waiting.popleft()
            if turn.future.done():
                continue
            key = self._key(turn.step)
            if key in keys or key in self._under_way:
                left.append(turn)
                continue
            if group and size + self._size(turn.step) > MAX_BYTES:
                left.append(turn)
                break
            keys.add(key)
            size += self._size(turn.step)
            group.append(turn)
        self._waiting.extendleft(reversed(left))
        return group


@dataclass(slots=True, eq=False)
class Waiting(Generic[Step, Outcome]):
    """A caller who waits for the outcome of a step, unless it was cancelled."""

    step: Step
    future: "asyncio.Future[Outcome]"

    def end(self, outcome: Outcome) -> None:
        """Give the outcome."""
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Give an error in place of the outcome."""
        if not self.future.done():
            self.future.set_exception(error)
