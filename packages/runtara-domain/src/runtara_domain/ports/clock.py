"""Time, as the core sees it."""

from datetime import datetime, timedelta
from typing import Protocol


class TellsTime(Protocol):
    """A clock that is only read: this machine's, or the database's as a launcher knows it."""

    def now(self) -> datetime:
        """Return the time: aware, UTC, whole milliseconds."""
        ...


class Clock(TellsTime, Protocol):
    """
    The one source of time: nothing in the core or an adapter asks another.

    A moment is waited for on the wall clock, which may be set; a span on one that never is.
    """

    def uptime(self) -> timedelta:
        """Return the time gone by since some moment; setting the clock doesn't move it."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """
        Return once `now()` has reached the moment; at once if it has already.

        A clock that is set meanwhile, and a machine that was suspended, are noticed in a second.
        """
        ...

    async def pause(self, span: timedelta) -> None:
        """Return once `uptime()` has grown by the span."""
        ...
