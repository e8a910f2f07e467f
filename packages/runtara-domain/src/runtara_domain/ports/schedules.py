"""The ports to stored schedules, and to the calendar that computes ticks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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

    One step executes a tick and moves its schedule on, so that the environments together execute
    each tick once.
    """

    async def put(self, schedule: Schedule, *, next_tick_at: datetime | None, at: datetime) -> bool:
        """
        Store a schedule, or replace the schedule of its name; True if the schedule is new.

        A paused schedule stays paused. The next tick stays if the timing does; otherwise it becomes
        `next_tick_at`.
        """
        ...

    async def declare(self, declaration: Declaration, *, at: datetime) -> Declared:
        """
        Store a declaration: a new schedule, a change, or a pause if the code has none any more.

        The newest version of the code is the one that was first seen last; an older version changes
        nothing. A schedule that an operator stored, and an operator's pause, are kept.
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
        """Read schedules by tenant and name; `after` names the last one of the former page."""
        ...

    async def pause(self, tenant_id: str, name: str, reason: str = "") -> bool:
        """Pause a schedule until it is resumed; False if there is none."""
        ...

    async def resume(self, read: StoredSchedule, *, next_tick_at: datetime | None) -> bool:
        """Resume a paused schedule; False if it has changed since it was read."""
        ...

    async def remove(self, tenant_id: str, name: str) -> bool:
        """Delete a schedule, and keep the instances that it started; False if there was none."""
        ...

    async def due(
        self, *, at: datetime, after: StoredSchedule | None = None, limit: int = 100
    ) -> DueSchedules:
        """
        Read the schedules that are due at `at`, and when the next one is.

        after: the last schedule of the former page.
        """
        ...

    async def fire(self, firing: Firing, *, at: datetime) -> Fired:
        """
        Execute a tick, if it is still due and the schedule is as it was read.

        The step starts the tick's instance or buffers the tick, cancels the instance of the earlier
        tick, and moves the schedule on, according to its overlap. An existing instance with the
        tick's id counts as started.
        """
        ...


class Calendar(Protocol):
    """Computes ticks from cron expressions and time zones."""

    def check(self, timing: Timing) -> None:
        """Raise InvalidValue, naming the field and what it takes, if a timing can't be used."""
        ...

    def next_tick(self, timing: Timing, after: datetime) -> datetime | None:
        """Return the first tick after a moment, in UTC; None if no tick follows."""
        ...

    def local(self, timing: Timing, tick: datetime) -> datetime:
        """Return a tick in the time zone of its timing."""
        ...
