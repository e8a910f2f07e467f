"""Ticks are carried out once each, whatever happens to clocks, environments and schedules."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.launching.world import World
from tests.support.clock import START

from runtara_domain.launching.scheduler import Scheduler
from runtara_domain.model import Caller, Ending
from runtara_domain.model.instance_lists import InstanceQuery
from runtara_domain.model.schedules import Overlap, Schedule, Timing
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State
from runtara_persistence import MemoryPersistence

MINUTE = timedelta(minutes=1)
EVERY_MINUTE = Schedule(
    tenant_id="t",
    name="s",
    timing=Timing("* * * * *"),
    workflow="report",
    overlap=Overlap.ALLOW,
    catch_up=timedelta(minutes=10),
)
FIRST = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)


class Minutes:
    """A calendar that knows no cron: each minute is a tick. Fits `Calendar`."""

    def check(self, timing: Timing) -> None:
        pass

    def next_tick(self, timing: Timing, after: datetime) -> datetime | None:
        return after.replace(second=0, microsecond=0) + MINUTE

    def local(self, timing: Timing, tick: datetime) -> datetime:
        return tick


class Wall:
    """A database's time, that is set by hand."""

    def __init__(self) -> None:
        self.now = START


@asynccontextmanager
async def stored(schedule: Schedule) -> AsyncIterator[tuple[Persistence, Wall]]:
    async with MemoryPersistence() as persistence:
        await persistence.schedules.put(schedule, next_tick_at=FIRST, at=START)
        yield persistence, Wall()


def scheduler(persistence: Persistence, wall: Wall) -> Scheduler:
    return Scheduler(
        persistence.schedules, Minutes(), World().clock, lambda: wall.now, lambda: None
    )


async def started(persistence: Persistence) -> list[str]:
    found = await persistence.launches.instances(InstanceQuery(), limit=1000)
    return sorted(each.summary.instance_id.rpartition("/")[2] for each in found)


def ticks(*minutes: int) -> list[str]:
    return [f"2026-01-02T03:{minute:02}Z" for minute in minutes]


async def test_ticks_come_in_time_and_once_when_the_clock_is_set() -> None:
    async with stored(EVERY_MINUTE) as (persistence, wall):
        one = scheduler(persistence, wall)
        assert await one.attend() == FIRST - START
        wall.now = FIRST
        assert await one.attend() == MINUTE
        wall.now = FIRST + 2 * MINUTE + timedelta(seconds=20)
        assert await one.attend() == timedelta(seconds=40)
        assert await started(persistence) == ticks(5, 6, 7)

        wall.now = FIRST - MINUTE
        assert await one.attend() == 4 * MINUTE
        assert await scheduler(persistence, wall).attend() == 4 * MINUTE
        assert await started(persistence) == ticks(5, 6, 7)


async def test_ticks_beyond_the_window_are_missed_and_said_to_be() -> None:
    async with stored(EVERY_MINUTE) as (persistence, wall):
        wall.now = FIRST + 30 * MINUTE

        await scheduler(persistence, wall).attend()

        assert await started(persistence) == ticks(*range(25, 36))
        found = await persistence.schedules.get("t", "s")
        assert found is not None
        assert found.problem is None
        assert found.next_tick_at == FIRST + 31 * MINUTE


async def test_a_buffered_tick_starts_when_the_earlier_instance_has_ended() -> None:
    async with stored(replace(EVERY_MINUTE, overlap=Overlap.BUFFER_ONE)) as (persistence, wall):
        one = scheduler(persistence, wall)
        wall.now = FIRST + MINUTE
        assert await one.attend() == timedelta(seconds=1)
        assert await started(persistence) == ticks(5)
        await persistence.instances.finish(
            Caller("t/s/2026-01-02T03:05Z"), Ending(State.COMPLETED), when=OPEN, at=wall.now
        )

        wall.now += timedelta(seconds=1)
        await one.attend()

        assert await started(persistence) == ticks(5, 6)


async def test_an_environment_carries_out_ticks_and_asks_for_nothing_at_rest() -> None:
    """Its renewal also reports a schedule that another process has put."""
    async with World() as world:
        calls: Counter[str] = world.count_calls()
        async with world.launcher(calendar=Minutes()):
            await world.settle()
            assert calls["due"] == 1
            await world.pass_time(60)
            assert calls["due"] == 1
            soon = world.clock.now() + 2 * MINUTE
            await world.persistence.schedules.put(EVERY_MINUTE, next_tick_at=soon, at=START)
            await world.pass_time(121)
            assert len(await started(world.persistence)) == 1
            assert calls["due"] == 2


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["attend", "kill", "advance", "set back", "put"]), st.integers(0, 40)
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_each_tick_starts_one_instance_whatever_happens(actions: list[tuple[str, int]]) -> None:
    asyncio.run(check(actions))


async def check(actions: list[tuple[str, int]]) -> None:
    """Environments attend at once, are killed between any two steps, and clocks are set."""
    patient = replace(EVERY_MINUTE, catch_up=timedelta(days=100))
    async with stored(patient) as (persistence, wall):
        latest = wall.now
        for action, number in actions:
            match action:
                case "attend":
                    both = (scheduler(persistence, wall), scheduler(persistence, wall))
                    await asyncio.gather(*(one.attend() for one in both))
                case "kill":
                    await killed(scheduler(persistence, wall), number)
                case "advance":
                    wall.now += timedelta(seconds=15 * number)
                case "set back":
                    wall.now -= timedelta(seconds=30 * number)
                case _:
                    changed = replace(patient, priority=number)
                    await persistence.schedules.put(changed, next_tick_at=None, at=wall.now)
            latest = max(latest, wall.now)
        while await scheduler(persistence, wall).attend() == timedelta(0):
            pass
        found = await persistence.schedules.get("t", "s")
        names = await started(persistence)

        assert found is not None
        assert found.next_tick_at is not None
        assert found.next_tick_at > wall.now
        assert names == [f"{FIRST + MINUTE * n:%Y-%m-%dT%H:%MZ}" for n in range(len(names))]
        assert all(datetime.fromisoformat(name) <= latest for name in names)
        assert found.next_tick_at == FIRST + MINUTE * len(names)


async def killed(one: Scheduler, iterations: int) -> None:
    task = asyncio.ensure_future(one.attend())
    for _ in range(iterations):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
