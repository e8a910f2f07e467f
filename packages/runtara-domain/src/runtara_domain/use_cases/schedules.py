"""Operations on schedules by operators and code; the scheduler executes ticks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from runtara_domain.error import InvalidValue
from runtara_domain.model.launches import InstanceStart, Started
from runtara_domain.model.schedules import Declaration, Declared, Schedule, Timing, shown
from runtara_domain.ports.launches import Launches
from runtara_domain.ports.schedules import Calendar, Schedules
from runtara_domain.record import record

MAX_BACKFILLED = 1000

_MILLISECOND = timedelta(milliseconds=1)


@record
class Upcoming:
    """A tick, in UTC and in the time zone of its schedule, and the id of its instance."""

    tick: datetime
    local: datetime
    instance_id: str


@record
class Triggered:
    """The start of a triggered instance, and its outcome."""

    start: InstanceStart
    started: Started


@record
class ManageSchedules:
    """Puts, declares, resumes, triggers and backfills schedules; `at` is the database's time."""

    schedules: Schedules
    launches: Launches
    calendar: Calendar

    async def put(self, schedule: Schedule, *, at: datetime) -> bool:
        """Store or replace a schedule; True if it is new. Raises InvalidValue."""
        next_tick_at = self._checked(schedule.timing, at)
        return await self.schedules.put(schedule, next_tick_at=next_tick_at, at=at)

    async def declare(
        self,
        tenant_id: str,
        name: str,
        code_version: str,
        schedule: Schedule | None,
        *,
        at: datetime,
    ) -> Declared:
        """Store the schedule that a version of the code declares; raises InvalidValue."""
        declaration = Declaration(
            tenant_id=tenant_id,
            name=name,
            code_version=code_version,
            schedule=schedule,
            next_tick_at=None if schedule is None else self._checked(schedule.timing, at),
        )
        return await self.schedules.declare(declaration, at=at)

    async def resume(self, tenant_id: str, name: str, *, at: datetime) -> bool:
        """Resume a schedule with ticks from now on; False if there is none."""
        while True:
            read = await self.schedules.get(tenant_id, name)
            if read is None or read.paused_by is None:
                return read is not None
            next_tick_at = self.calendar.next_tick(read.schedule.timing, at)
            if await self.schedules.resume(read, next_tick_at=next_tick_at):
                return True

    async def trigger(self, tenant_id: str, name: str, *, at: datetime) -> Triggered | None:
        """Start one instance now, in addition to the ticks; None if there is no such schedule."""
        read = await self.schedules.get(tenant_id, name)
        if read is None:
            return None
        instance_id = read.schedule.triggered_id(f"{shown(at)}-{uuid4().hex[:12]}")
        start = read.schedule.start(instance_id, at, delayed=False)
        return Triggered(start, await self.launches.start(start, at=at))

    async def upcoming(
        self, tenant_id: str, name: str, *, limit: int, at: datetime
    ) -> Sequence[Upcoming] | None:
        """Return the next ticks, also of a paused schedule; None if there is no such schedule."""
        read = await self.schedules.get(tenant_id, name)
        if read is None:
            return None
        found: list[Upcoming] = []
        after = at
        for _ in range(limit):
            tick = self.calendar.next_tick(read.schedule.timing, after)
            if tick is None:
                break
            found.append(self._upcoming(read.schedule, tick))
            after = tick
        return found

    async def backfill(
        self,
        tenant_id: str,
        name: str,
        *,
        since: datetime,
        until: datetime,
        dry_run: bool,
        at: datetime,
    ) -> Sequence[Upcoming] | None:
        """
        Start the ticks of a past period that were not started; `until` is exclusive.

        Each instance has the id of its tick, so that no tick starts twice. Raises InvalidValue, and
        starts nothing, for a period that is not past or has more than MAX_BACKFILLED ticks.
        """
        if not since <= until <= at:
            raise InvalidValue(f"from_ms, until_ms: take a past period, got {since} to {until}")
        read = await self.schedules.get(tenant_id, name)
        if read is None:
            return None
        found: list[Upcoming] = []
        # The period includes its first moment.
        tick = self.calendar.next_tick(read.schedule.timing, since - _MILLISECOND)
        while tick is not None and tick < until:
            found.append(self._upcoming(read.schedule, tick))
            if len(found) > MAX_BACKFILLED:
                raise InvalidValue(
                    f"from_ms, until_ms: take at most {MAX_BACKFILLED} ticks at once, got more:"
                    f" backfill up to {shown(found[-2].tick)} first"
                )
            tick = self.calendar.next_tick(read.schedule.timing, tick)
        for each in () if dry_run else found:
            start = read.schedule.start(each.instance_id, each.tick, delayed=False)
            started = await self.launches.start(start, at=at)
            if not started.image_is_found:
                raise InvalidValue("image_id: the schedule's image is deleted: put it with another")
        return found

    def _checked(self, timing: Timing, at: datetime) -> datetime | None:
        self.calendar.check(timing)
        return self.calendar.next_tick(timing, at)

    def _upcoming(self, schedule: Schedule, tick: datetime) -> Upcoming:
        local = self.calendar.local(schedule.timing, tick)
        return Upcoming(tick, local, schedule.instance_id(tick))
