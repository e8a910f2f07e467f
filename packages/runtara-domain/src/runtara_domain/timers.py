"""Any number of timers that one asyncio task fires, each at its moment."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

_MANY = 64

_Moment = TypeVar("_Moment", datetime, timedelta)


class Timer(Protocol):
    """Fired at its moment, unless it was left before."""

    @property
    def is_left(self) -> bool: ...

    def fire(self) -> None: ...


class Timers(Generic[_Moment]):
    """Fires timers at their moments, by the clock that `now` and `sleep_until` read."""

    def __init__(
        self, now: Callable[[], _Moment], sleep_until: Callable[[_Moment], Awaitable[None]]
    ) -> None:
        self._now: Callable[[], _Moment] = now
        self._sleep_until: Callable[[_Moment], Awaitable[None]] = sleep_until
        self._set: list[tuple[_Moment, int, Timer]] = []
        self._serial = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at: _Moment | None = None

    def set(self, timer: Timer, moment: _Moment) -> None:
        """Fire the timer at this moment; at once if the moment has passed."""
        self._serial += 1
        heapq.heappush(self._set, (moment, self._serial, timer))
        self._arm()

    def tidy(self, timers: int) -> None:
        """Drop entries of timers that were left, once they outnumber the `timers` that are live."""
        if not timers:
            self._set.clear()
            self.stop()
        elif len(self._set) > 2 * timers + _MANY:
            self._set = [entry for entry in self._set if not entry[2].is_left]
            heapq.heapify(self._set)

    def stop(self) -> None:
        """Fire nothing until another timer is set."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_at = None

    def _arm(self) -> None:
        if self._set and (self._timer_at is None or self._set[0][0] < self._timer_at):
            self.stop()
            self._timer_at = self._set[0][0]
            self._timer = asyncio.create_task(self._fire_at(self._timer_at))

    async def _fire_at(self, moment: _Moment) -> None:
        await self._sleep_until(moment)
        now = self._now()
        while self._set and self._set[0][0] <= now:
            heapq.heappop(self._set)[2].fire()
        self._timer, self._timer_at = None, None
        self._arm()
