"""
The order of outcomes: a replay hands user code the outcomes of calls in the order of earlier runs.

From the first call that is awaited in another task than its branch's own, the order in which calls
end decides how the code goes on. Each outcome therefore gets a number, and is saved with it. It is
handed over when all lower numbers are saved: so no outcome that user code has acted on is lost
while a later one is kept. The next one is handed over when the code that this one has woken is
idle. A replay finds the saved outcomes and does the same, so the code goes the same way.

A cancellation by user code waits only for lower numbers. anyio cancels a task in every iteration of
the loop until it ends, and the loop does not become idle before.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context
from itertools import count

from runtara_sdk.workflow.engine.event_loop import call_in, when_quiet

_MARGIN = 0.01
"""Seconds after which a due timer has fired."""


class OutcomeOrder:
    """
    Numbers the outcomes of one run, and hands them over in that order.

    `recorded`: the numbers that earlier runs saved. `code_due_in`: returns the seconds until the
    next timer of user code; None without one. `is_kept`: outcomes are numbered.
    """

    def __init__(
        self, recorded: Iterable[int], code_due_in: Callable[[], float | None] = lambda: None
    ) -> None:
        self._code_due_in = code_due_in
        self._expected = _Numbers()
        numbers = set(recorded)
        self._unvisited = _Numbers(numbers)
        self._last = max(numbers, default=0)
        self.is_kept = self._last > 0
        self._saving = _Numbers()
        self._not_gone_on = _Numbers()
        self._waiting: list[asyncio.Future[None]] = []
        self._serial = count()
        self._ready: list[tuple[int, int, bool, asyncio.Future[None]]] = []
        self._is_reconsidering = False

    def keep(self) -> None:
        """Begin to number outcomes."""
        self.is_kept = True

    def reserve(self) -> int:
        """The number of an outcome that is about to be saved."""
        self._last += 1
        self._saving.add(self._last)
        return self._last

    def drop(self, number: int | None) -> None:
        """Drop the number of an outcome that user code does not get."""
        if number is not None:
            self._saving.discard(number)
            self._unvisited.discard(number)
            self._reconsider()

    def expect(self, number: int) -> None:
        """
        Hold higher numbers back while a timer may cancel this number's call, as in an earlier run.

        Code that has set a timer is idle until the timer is due.
        """
        self._expected.add(number)

    async def handed_over(self, number: int, *, at_once: bool = False) -> None:
        """Return when the outcome of this number is handed over."""
        self._saving.discard(number)
        self._unvisited.discard(number)
        self._expected.discard(number)
        self._last = max(self._last, number)
        handover = asyncio.get_running_loop().create_future()
        heapq.heappush(self._ready, (number, next(self._serial), at_once, handover))
        self._reconsider()
        await handover
        if at_once:
            self._not_gone_on.add(number)

    async def wait_for_lower(self, number: int | None) -> None:
        """
        Return when the tasks of all lower, handed-over cancellations have gone on.

        Cancels of this task meanwhile change nothing: anyio cancels it in every iteration.
        """
        while number is not None and self._not_gone_on.has_lower(number):
            lower = asyncio.get_running_loop().create_future()
            self._waiting.append(lower)
            with suppress(asyncio.CancelledError):
                await lower
        if number is not None:
            self._not_gone_on.discard(number)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _reconsider(self) -> None:
        """Hand over cancellations at once, and the next outcome when the loop is idle."""
        if self._ready and self._is_due(is_resting=False):
            # Later: a task that gets its outcome at once would overtake those that are about to
            # wake.
            asyncio.get_running_loop().call_soon(self._hand_over_at_once, context=Context())
        if self._ready and not self._is_reconsidering:
            self._is_reconsidering = True
            when_quiet(self._reconsider_at_rest)

    def _hand_over_at_once(self) -> None:
        while self._ready and self._is_due(is_resting=False):
            self._hand_over()

    def _reconsider_at_rest(self) -> None:
        self._is_reconsidering = False
        if self._ready and self._is_due(is_resting=True):
            self._hand_over()
            self._reconsider()

    def _is_due(self, *, is_resting: bool) -> bool:
        number, _, at_once, handover = self._ready[0]
        if handover.done():
            return True
        if self._saving.has_lower(number):
            return False
        if not is_resting:
            return at_once and not self._unvisited.has_lower(number)
        # The code does not wait for an outcome that it has not asked for by now.
        return not (self._expected.has_lower(number) and self._wait_for_code())

    def _wait_for_code(self) -> bool:
        """Check again after the code's next timer; False: the code has set none."""
        due = self._code_due_in()
        if due is None:
            return False
        call_in(due + _MARGIN, self._reconsider)
        return True

    def _hand_over(self) -> None:
        handover = heapq.heappop(self._ready)[-1]
        if not handover.done():
            handover.set_result(None)


class _Numbers:
    """A set of numbers with access to its lowest."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._heap = sorted(set(numbers))
        self._set = set(self._heap)

    def add(self, number: int) -> None:
        self._set.add(number)
        heapq.heappush(self._heap, number)

    def discard(self, number: int) -> None:
        self._set.discard(number)

    def has_lower(self, number: int) -> bool:
        while self._heap and self._heap[0] not in self._set:
            heapq.heappop(self._heap)
        return bool(self._heap) and self._heap[0] < number
