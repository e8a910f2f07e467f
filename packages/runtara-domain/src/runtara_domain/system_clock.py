"""The machine's clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

_LONGEST_NAP = 1.0  # seconds; a wall clock that is set meanwhile is noticed within it


class SystemClock:
    """Tells the machine's time, in whole milliseconds."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def uptime(self) -> timedelta:
        return timedelta(seconds=time.monotonic())

    async def sleep_until(self, moment: datetime) -> None:
        # There is no event for a wall clock that is set: it can only be polled.
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LONGEST_NAP))

    async def pause(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds())
