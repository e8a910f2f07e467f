"""Schedules in memory."""

from collections.abc import Sequence
from datetime import datetime

from runtara_domain import values
from runtara_domain.launching import schedule_changes
from runtara_domain.model.interventions import Stop
from runtara_domain.model.schedules import (
    CANCEL_GRACE,
    Declaration,
    Declared,
    DueSchedules,
    Fired,
    FireOutcome,
    Firing,
    PausedBy,
    Schedule,
    StoredSchedule,
)
from runtara_persistence.memory import intervening, starting
from runtara_persistence.memory.store import OnStore, step


class MemorySchedules(OnStore):
    """Fits `runtara_domain.ports.schedules.Schedules`."""

    @step
    def put(self, schedule: Schedule, *, next_tick_at: datetime | None, at: datetime) -> bool:
        known = self._find(schedule.tenant_id, schedule.name)
        self._write(schedule_changes.put(known, schedule, next_tick_at, at))
        return known is None

    @step
    def declare(self, declaration: Declaration, *, at: datetime) -> Declared:
        known = self._find(declaration.tenant_id, declaration.name)
        declared, changed = schedule_changes.declare(known, declaration, at)
        if changed is not None:
            self._write(changed)
        return declared

    @step
    def get(self, tenant_id: str, name: str) -> StoredSchedule | None:
        return self._find(tenant_id, name)

    @step
    def page(
        self,
        tenant_id: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> Sequence[StoredSchedule]:
        values.check_limit(limit)
        return [
            found
            for key, found in sorted(self._store.schedules.items())
            if tenant_id in (None, key[0]) and (after is None or key > after)
        ][:limit]

    @step
    def pause(self, tenant_id: str, name: str, reason: str = "") -> bool:
        values.check_note("reason", reason)
        known = self._find(tenant_id, name)
        if known is not None:
            self._write(schedule_changes.pause(known, PausedBy.OPERATOR, reason))
        return known is not None

    @step
    def resume(self, read: StoredSchedule, *, next_tick_at: datetime | None) -> bool:
        known = self._find(read.schedule.tenant_id, read.schedule.name)
        if known is None or known.revision != read.revision:
            return False
        self._write(schedule_changes.resume(known, next_tick_at))
        return True

    @step
    def remove(self, tenant_id: str, name: str) -> bool:
        return self._store.schedules.pop((tenant_id, name), None) is not None

    @step
    def due(
        self, *, at: datetime, after: StoredSchedule | None = None, limit: int = 100
    ) -> DueSchedules:
        behind = None if after is None else _place(after)
        places = sorted(
            (place, found)
            for found in self._store.schedules.values()
            if (place := _place(found)) is not None
        )
        due = [
            found
            for place, found in places
            if place[0] <= at and (behind is None or place > behind)
        ]
        return DueSchedules(
            tuple(due[:limit]),
            min((place[0] for place, _ in places if place[0] > at), default=None),
        )

    @step
    def fire(self, firing: Firing, *, at: datetime) -> Fired:
        schedule = firing.read.schedule
        found = self._find(schedule.tenant_id, schedule.name)
        if found is None or not schedule_changes.is_as_read(firing, found):
            return Fired(outcome=FireOutcome.NOT_DUE)
        earlier = self._store.instances.get(found.last_instance_id or "")
        is_open = earlier is not None and not earlier.state.is_final
        plan = schedule_changes.plan(firing, found, is_earlier_open=is_open)
        if plan.outcome is FireOutcome.STARTED:
            start = schedule.start(schedule.instance_id(firing.tick), firing.tick)
            plan = schedule_changes.started(plan, starting.start(self._store, start, at))
        if plan.outcome is FireOutcome.WAITS:
            return schedule_changes.outcome_of(firing, found, plan)
        if plan.cancels and earlier is not None:
            reason = schedule_changes.cancel_reason(firing)
            intervening.stop(self._store, Stop(earlier.instance_id, CANCEL_GRACE, reason), at)
        self._write(schedule_changes.fired(firing, found, plan))
        return schedule_changes.outcome_of(firing, found, plan)

    def _find(self, tenant_id: str, name: str) -> StoredSchedule | None:
        return self._store.schedules.get((tenant_id, name))

    def _write(self, changed: StoredSchedule) -> None:
        self._store.schedules[changed.schedule.tenant_id, changed.schedule.name] = changed


def _place(found: StoredSchedule) -> tuple[datetime, str, str] | None:
    wakes_at = found.wakes_at
    return None if wakes_at is None else (wakes_at, found.schedule.tenant_id, found.schedule.name)
