"""The machine's clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

_LONGEST_NAP = 1.0  # seconds; a wall clock that is set meanwhile is noticed within it


class SystemClock:
    """The machine's clock, in whole milliseconds."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def uptime(self) -> timedelta:
        return timedelta(seconds=time.monotonic())

    async def sleep_until(self, moment: datetime) -> None:
        # No event reports a change of the wall clock, so it is polled.
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LONGEST_NAP))

    async def pause(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds())
