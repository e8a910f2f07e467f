"""What environments need stored about schedules, and what tells them the time of ticks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runtara_domain.model.schedules import (
    Declaration,
    Declared,
    DueSchedules,
    Fired,
    Firing,
    Schedule,
    StoredSchedule,
    Timing,
)


class Schedules(Protocol):
    """
    Schedules, each known by its tenant and name.

    Whatever moves a schedule on is one step with what the tick does, so that over all environments
    each tick is carried out once.
    """

    async def put(self, schedule: Schedule, *, next_tick_at: datetime | None, at: datetime) -> bool:
        """
        Keep a schedule, or replace the one of its name; True if there was none.

        A pause stands, and the next tick stays if the timing does; else it is `next_tick_at`.
        """
        ...

    async def declare(self, declaration: Declaration, *, at: datetime) -> Declared:
        """
        Keep what code declares: a new schedule, a change of one, or a pause of one that is gone.

        The version of the code that was first seen last is the newest; an older one changes
        nothing. A schedule that an operator has put, and an operator's pause, stand.
        """
        ...

    async def get(self, tenant_id: str, name: str) -> StoredSchedule | None:
        """Read a schedule; None if there is none."""
        ...

    async def page(
        self,
        tenant_id: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> Sequence[StoredSchedule]:
        """Read schedules by tenant and name; `after` is what the page before ended with."""
        ...

    async def pause(self, tenant_id: str, name: str, reason: str = "") -> bool:
        """Have it start nothing until it is resumed; False if there is none."""
        ...

    async def resume(self, read: StoredSchedule, *, next_tick_at: datetime | None) -> bool:
        """Have a paused schedule go on, unless it has changed since it was read; then False."""
        ...

    async def remove(self, tenant_id: str, name: str) -> bool:
        """Take a schedule away, and keep the instances it started; False if there was none."""
        ...

    async def due(
        self, *, at: datetime, after: StoredSchedule | None = None, limit: int = 100
    ) -> DueSchedules:
        """
        Read the schedules that are to be looked at by now, and when the next one is.

        `after` is what the part before ended with.
        """
        ...

    async def fire(self, firing: Firing, *, at: datetime) -> Fired:
        """
        Carry out a tick, if it is open and the schedule is as it was read.

        Starts its instance or keeps the tick waiting, cancels the instance of the earlier tick, and
        moves the schedule on, all as its overlap says. An instance that has the tick's id already
        counts as started.
        """
        ...


class Calendar(Protocol):
    """Reads cron expressions, and knows the clocks of the world."""

    def check(self, timing: Timing) -> None:
        """Raise InvalidValue, naming the field and what it takes, if a timing can't be used."""
        ...

    def next_tick(self, timing: Timing, after: datetime) -> datetime | None:
        """Return the first tick after a moment, in UTC; None if none ever comes."""
        ...

    def local(self, timing: Timing, tick: datetime) -> datetime:
        """Return a tick in the time zone of its timing."""
        ...
