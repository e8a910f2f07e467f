"""Steps of callers who wait at the same time, gathered for one statement and one commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")

CarryOut: TypeAlias = "Callable[[Sequence[Step]], Awaitable[Sequence[Outcome]]]"

MAX_STEPS = 128
"""How many steps share a statement at most, so that the first doesn't wait for ever more."""
MAX_BYTES = 8 * 1024 * 1024
"""How much they bring together, unless one alone brings more."""


class Gathering(Generic[Step, Outcome]):
    """
    Carries out steps a group at a time, so many groups at once; never two of the same key.

    key: of steps with the same one, the later waits for the earlier. size: the bytes a step brings.
    """

    def __init__(
        self,
        carry_out: "CarryOut[Step, Outcome]",
        *,
        key: Callable[[Step], Hashable],
        size: Callable[[Step], int],
        groups: int,
    ) -> None:
        self._carry_out = carry_out
        self._key = key
        self._size = size
        self._groups = groups
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
            self._work.add(asyncio.create_task(self._carry_out_all()))
        return await turn.future

    async def _carry_out_all(self) -> None:
        try:
            # A turn of the loop, for those whose requests arrived together.
            await asyncio.sleep(0)
            while group := self._next_group():
                await self._carry_out_group(group)
                # And for those just answered to join the next group.
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            # The loop is coming to its end.
            for turn in self._waiting:
                turn.future.cancel()
            raise
        finally:
            # Not in a callback of the task: whoever comes before that would wait for nobody.
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
        while self._waiting and len(group) < MAX_STEPS and size <= MAX_BYTES:
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
