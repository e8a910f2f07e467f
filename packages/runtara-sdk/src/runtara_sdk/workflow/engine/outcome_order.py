"""
The order of outcomes: user code gets those of its calls as the run before this one gave them.

From the first call that is awaited in another task than its branch's own, the order in which calls
end decides how the code goes on. So each outcome gets a number, and is saved with it. It is handed
over when all lower numbers are saved: none that user code has acted on can be lost while a later
one is kept. The next one is handed over when the code that this one has woken has come to rest. A
replay finds the outcomes saved and does the same, so the code goes the same way.

A cancellation by user code waits for lower numbers alone. Its task may be cancelled in every
iteration of the loop until it ends (anyio does that), and the loop does not rest before.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context
from itertools import count

from runtara_sdk.workflow.engine.event_loop import call_in, when_quiet

_MARGIN = 0.01
"""Seconds after which a timer that was due has done its work."""


class OutcomeOrder:
    """
    Numbers the outcomes of one run, and hands them over in that order.

    `recorded` are the numbers that earlier runs saved; `code_due_in` tells in how many seconds a
    timer of user code is due, if one is. `is_kept`: outcomes are numbered.
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
        """Number all outcomes from here on."""
        self.is_kept = True

    def reserve(self) -> int:
        """The number of an outcome that is about to be saved."""
        self._last += 1
        self._saving.add(self._last)
        return self._last

    def drop(self, number: int | None) -> None:
        """Let nothing wait for an outcome that user code does not get."""
        if number is not None:
            self._saving.discard(number)
            self._unvisited.discard(number)
            self._reconsider()

    def expect(self, number: int) -> None:
        """
        Hold higher numbers while a timer may cancel the call of this one, as it did before.

        Code that sets a timer is at rest until the timer is due.
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
        Return when the tasks of all lower cancellations that were handed over have gone on.

        What cancels this task meanwhile changes nothing: anyio cancels it in every iteration.
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
        """Hand over what needs no rest, and the next one when the loop has come to rest."""
        if self._ready and self._is_due(is_resting=False):
            # Later: a task that gets its outcome at once would pass those that are about to wake.
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
        # What a replay has not asked for by now, the code does not wait for.
        return not (self._expected.has_lower(number) and self._wait_for_code())

    def _wait_for_code(self) -> bool:
        """Look again when the next timer of the code was due; False: it has set none."""
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
    """A set of numbers that knows its lowest."""

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
