"""Real processes carry out the ticks of a database, and are killed at any moment."""

import asyncio
import random
import signal
import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support import postgres

from runtara_domain.launching.scheduler import Scheduler
from runtara_domain.model.instance_lists import InstanceQuery
from runtara_domain.model.schedules import Overlap, Schedule, Timing
from runtara_domain.ports.persistence import Persistence
from runtara_domain.system_clock import SystemClock
from runtara_persistence.connect import connect
from runtara_schedules import CronCalendar

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)
PROCESSES, KILLS, SPEED = 3, 5, 240.0
SCHEDULES = [
    Schedule(
        tenant_id="t",
        name=name,
        timing=Timing("* * * * *", zone),
        workflow="report",
        overlap=Overlap.ALLOW,
    )
    for name, zone in (("utc", "UTC"), ("paris", "Europe/Paris"), ("other", "Asia/Kathmandu"))
]


async def killed_again_and_again(url: str, epoch: float, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.schedules.ticking", url, str(epoch), str(SPEED)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"attending\n"
        # How long it lives is chance, and no condition is waited for.
        await asyncio.sleep(chance.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def minutes_of(persistence: Persistence, name: str) -> list[datetime]:
    started = [
        one.summary.instance_id.split("/")
        for one in await persistence.launches.instances(InstanceQuery(), limit=100_000)
    ]
    return sorted(datetime.fromisoformat(each[2]) for each in started if each[1] == name)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_each_tick_starts_one_instance_though_processes_are_killed(
    kind: str, tmp_path: Path
) -> None:
    on_file = nullcontext(f"sqlite:{tmp_path / 'core.db'}")
    with postgres.migrated_database() if kind == "postgres" else on_file as url:
        async with connect(url, migrates=True) as persistence:
            # The clock runs faster from this moment on.
            epoch = time.time()
            first = datetime.fromtimestamp(epoch, UTC).replace(second=0, microsecond=0) + MINUTE
            for schedule in SCHEDULES:
                await persistence.schedules.put(schedule, next_tick_at=first, at=first)
            await asyncio.gather(
                *(killed_again_and_again(url, epoch, seed) for seed in range(PROCESSES))
            )
            end = datetime.fromtimestamp(epoch + (time.time() - epoch) * SPEED, UTC)
            last = Scheduler(
                persistence.schedules, CronCalendar(), SystemClock(), lambda: end, lambda: None
            )
            while await last.attend() == timedelta(0):
                pass

            for schedule in SCHEDULES:
                minutes = await minutes_of(persistence, schedule.name)
                assert minutes == [first + MINUTE * n for n in range(len(minutes))]
                assert minutes[-1] <= end < minutes[-1] + MINUTE
                found = await persistence.schedules.get("t", schedule.name)
                assert found is not None
                assert (found.last_tick_at, found.problem) == (minutes[-1], None)
