"""Time, as the core sees it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The one source of time: nothing in the core or an adapter asks another."""

    def now(self) -> datetime:
        """Tell the time: aware, UTC, whole milliseconds."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """Return once `now()` has reached the moment; at once if it has already."""
        ...
