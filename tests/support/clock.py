"""A clock that moves only when a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class FrozenClock:
    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._uptime = timedelta(0)
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []
        self._pausing: list[tuple[timedelta, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def uptime(self) -> timedelta:
        return self._uptime

    async def sleep_until(self, moment: datetime) -> None:
        if moment > self._now:
            reached = asyncio.Event()
            self._sleepers.append((moment, reached))
            await reached.wait()

    async def pause(self, span: timedelta) -> None:
        if span > timedelta(0):
            over = asyncio.Event()
            self._pausing.append((self._uptime + span, over))
            await over.wait()

    def advance(self, span: timedelta) -> None:
        """Let time pass, and wake the waits whose time has come."""
        self._uptime += span
        for end, over in self._pausing:
            if end <= self._uptime:
                over.set()
        self._pausing = [each for each in self._pausing if each[0] > self._uptime]
        self.set(self._now + span)

    def set(self, now: datetime) -> None:
        """Set the wall clock, back or forward, in no time."""
        self._now = now
        for moment, reached in self._sleepers:
            if moment <= self._now:
                reached.set()
        self._sleepers = [each for each in self._sleepers if each[0] > self._now]
