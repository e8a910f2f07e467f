"""The port to clocks."""

from datetime import datetime, timedelta
from typing import Protocol


class TellsTime(Protocol):
    """A clock to read: this machine's, or the database's as a launcher estimates it."""

    def now(self) -> datetime:
        """Return the time: aware, UTC, whole milliseconds."""
        ...


class Clock(TellsTime, Protocol):
    """
    The only source of time of the core and its adapters.

    Waits for a moment use the wall clock, which may be set; waits for a span use a monotonic clock.
    """

    def uptime(self) -> timedelta:
        """Return the time since an arbitrary moment; setting the wall clock doesn't change it."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """
        Return once `now()` has reached the moment; at once if it has already.

        A change of the clock, and a resumed machine, are noticed within a second.
        """
        ...

    async def pause(self, span: timedelta) -> None:
        """Return once `uptime()` has grown by the span."""
        ...
