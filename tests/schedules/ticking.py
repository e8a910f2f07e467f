"""Carries out ticks until it is killed, by a clock that runs faster: URL, EPOCH, SPEED."""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta

from runtara_domain.launching.scheduler import Scheduler
from runtara_domain.system_clock import SystemClock
from runtara_persistence.connect import connect
from runtara_schedules import CronCalendar


async def main(url: str, epoch: float, speed: float) -> None:
    """Attend as a launcher's loop does."""

    def now() -> datetime:
        return datetime.fromtimestamp(epoch + (time.time() - epoch) * speed, UTC)

    async with connect(url) as persistence:
        one = Scheduler(persistence.schedules, CronCalendar(), SystemClock(), now, lambda: None)
        print("attending", flush=True)  # noqa: T201
        while True:
            one.wake_up.clear()
            span = await one.attend()
            await one.wake_up.wait(timedelta(seconds=1) if span is None else span / speed)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
