"""A clock that moves only when a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class FrozenClock:
    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        if moment <= self._now:
            return
        reached = asyncio.Event()
        self._sleepers.append((moment, reached))
        await reached.wait()

    def advance(self, span: timedelta) -> None:
        """Move on, and wake whoever slept until a moment that has now come."""
        self._now += span
        for moment, reached in self._sleepers:
            if moment <= self._now:
                reached.set()
        self._sleepers = [
            (moment, reached) for moment, reached in self._sleepers if moment > self._now
        ]
