"""Executes the ticks of schedules in a loop of an environment or worker."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError, InvalidValue
from runtara_domain.launching.timed_event import TimedEvent
from runtara_domain.model.schedules import Fired, FireOutcome, Firing, StoredSchedule, shown
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.schedules import Calendar, Schedules

logger = logging.getLogger(__name__)

_PART = 100
_AT_ONCE = timedelta(milliseconds=50)
_LOOK_AGAIN = timedelta(seconds=1)
"""The time between checks whether the instance has ended for which a tick is buffered."""


class Scheduler:
    """
    Executes due ticks; of several environments, the step lets one execute each tick.

    now: returns the database's time. started: called when a tick has started or cancelled an
    instance.
    """

    def __init__(
        self,
        schedules: Schedules,
        calendar: Calendar,
        clock: Clock,
        now: Callable[[], datetime],
        started: Callable[[], None],
    ) -> None:
        self._schedules, self._calendar = schedules, calendar
        self._now, self._started = now, started
        self._next_at: datetime | None = None
        self._is_wanted = True
        self.wake_up = TimedEvent(clock)

    def heard(self, next_tick_at: datetime | None) -> None:
        """Note the time of the next tick from a renewal of the lease."""
        if next_tick_at is not None and (self._next_at is None or next_tick_at < self._next_at):
            self._next_at = next_tick_at
            self.wake_up.set()

    def recheck(self) -> None:
        """Read all due schedules soon, because one has changed."""
        self._is_wanted = True
        self.wake_up.set()

    async def attend(self) -> timedelta | None:
        """Execute due ticks; return the time to the next call, None: when `wake_up` is set."""
        now = self._now()
        if self._is_wanted or (self._next_at is not None and self._next_at <= now):
            self._is_wanted, self._next_at = False, None
            try:
                next_at = await self._execute(now)
            except DatabaseError:
                self._is_wanted = True
                raise
            # A renewal may have set an earlier time meanwhile.
            moments = [each for each in (next_at, self._next_at) if each is not None]
            self._next_at = min(moments, default=None)
        return None if self._next_at is None else max(self._next_at - self._now(), timedelta(0))

    async def _execute(self, now: datetime) -> datetime | None:
        after: StoredSchedule | None = None
        moments: list[datetime] = []
        while True:
            found = await self._schedules.due(at=now, after=after, limit=_PART)
            for schedule in found.due:
                moments.extend(await self._execute_one(schedule, now))
            if len(found.due) < _PART:
                break
            after = found.due[-1]
        if found.next_at is not None:
            moments.append(found.next_at)
        return min(moments, default=None)

    async def _execute_one(self, read: StoredSchedule, now: datetime) -> list[datetime]:
        """Execute a schedule's due tick; return the times at which to read it again."""
        again: list[datetime] = []
        if read.buffered_tick_at is not None:
            buffered = Firing(read=read, tick=read.buffered_tick_at, next_tick_at=None)
            if (await self._fire(buffered, now)).outcome is FireOutcome.WAITS:
                again.append(now + _LOOK_AGAIN)
        tick = read.next_tick_at
        while tick is not None and tick <= now:
            firing = self._firing(read, tick, now)
            fired = await self._fire(firing, now)
            if fired.outcome is FireOutcome.NOT_DUE:
                # Another environment executed the tick, or the schedule changed: read it again.
                return [now + _AT_ONCE]
            if fired.outcome is FireOutcome.BUFFERED:
                again.append(now + _LOOK_AGAIN)
            tick = firing.next_tick_at
        return again if tick is None else [*again, tick]

    def _firing(self, read: StoredSchedule, tick: datetime, now: datetime) -> Firing:
        """Return the firing of a tick; ticks too late to be caught up share one firing."""
        timing = read.schedule.timing
        try:
            earliest = now - read.schedule.catch_up
            if tick >= earliest:
                next_tick_at = self._calendar.next_tick(timing, tick)
                return Firing(read=read, tick=tick, next_tick_at=next_tick_at)
            # A tick at `earliest` itself is caught up.
            next_tick_at = self._calendar.next_tick(timing, earliest - timedelta(milliseconds=1))
        except InvalidValue as error:
            # Another version of this program stored the cron, or this machine lacks its time zone.
            return Firing(read=read, tick=tick, next_tick_at=None, problem=str(error))
        problem = (
            f"ticks from {shown(tick)} to {shown(earliest)} were missed by more than its catch-up"
            f" window, {read.schedule.catch_up}"
        )
        return Firing(read=read, tick=tick, next_tick_at=next_tick_at, problem=problem)

    async def _fire(self, firing: Firing, now: datetime) -> Fired:
        fired = await self._schedules.fire(firing, at=now)
        if fired.instance_id is not None or fired.cancelled_instance_id is not None:
            self._started()
        if fired.outcome not in (FireOutcome.NOT_DUE, FireOutcome.WAITS):
            level = logging.INFO if firing.problem is None else logging.WARNING
            schedule = firing.read.schedule
            logger.log(
                level,
                "schedule's tick: %s",
                firing.problem or fired.outcome.value,
                extra={
                    "tenant_id": schedule.tenant_id,
                    "schedule": schedule.name,
                    "tick": shown(firing.tick),
                    "instance_id": fired.instance_id,
                },
            )
        return fired
