"""What rings at its moment, however many there are, by one timer."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

_MANY = 64

_Moment = TypeVar("_Moment", datetime, timedelta)


class Bell(Protocol):
    """What is rung, for as long as something refers to it."""

    @property
    def is_left(self) -> bool: ...

    def ring(self) -> None: ...


class Alarms(Generic[_Moment]):
    """Rings bells at their moments, by whichever clock `now` and `sleep_until` tell of."""

    def __init__(
        self, now: Callable[[], _Moment], sleep_until: Callable[[_Moment], Awaitable[None]]
    ) -> None:
        self._now: Callable[[], _Moment] = now
        self._sleep_until: Callable[[_Moment], Awaitable[None]] = sleep_until
        self._set: list[tuple[_Moment, int, Bell]] = []
        self._serial = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_at: _Moment | None = None

    def set(self, bell: Bell, moment: _Moment) -> None:
        """Ring it at this moment; at once if it has passed."""
        self._serial += 1
        heapq.heappush(self._set, (moment, self._serial, bell))
        self._arm()

    def tidy(self, bells: int) -> None:
        """Let go of moments of bells that were left, once they are many beside those there are."""
        if not bells:
            self._set.clear()
            self.stop()
        elif len(self._set) > 2 * bells + _MANY:
            self._set = [alarm for alarm in self._set if not alarm[2].is_left]
            heapq.heapify(self._set)

    def stop(self) -> None:
        """Ring nothing until another alarm is set."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_at = None

    def _arm(self) -> None:
        if self._set and (self._timer_at is None or self._set[0][0] < self._timer_at):
            self.stop()
            self._timer_at = self._set[0][0]
            self._timer = asyncio.create_task(self._ring_at(self._timer_at))

    async def _ring_at(self, moment: _Moment) -> None:
        await self._sleep_until(moment)
        now = self._now()
        while self._set and self._set[0][0] <= now:
            heapq.heappop(self._set)[2].ring()
        self._timer, self._timer_at = None, None
        self._arm()
