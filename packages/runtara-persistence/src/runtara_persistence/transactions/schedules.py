"""Schedules in a database."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

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
    LocalTimeRule,
    Overlap,
    PausedBy,
    Schedule,
    StoredSchedule,
    Timing,
)
from runtara_persistence import queries
from runtara_persistence.records import Row, record
from runtara_persistence.transactions import intervening, starting
from runtara_persistence.transactions.transaction import (
    Transacting,
    Transaction,
    fetch,
    first,
    only,
    transact,
)

_SQL = queries.shared("schedules.sql")
_MILLISECOND = timedelta(milliseconds=1)


class ScheduleTransactions(Transacting):
    """Fits `runtara_domain.ports.schedules.Schedules`."""

    @transact("put a schedule")
    def put(
        self, schedule: Schedule, *, next_tick_at: datetime | None, at: datetime
    ) -> Transaction[bool]:
        known = yield from _lock(schedule.tenant_id, schedule.name)
        yield from _write(schedule_changes.put(known, schedule, next_tick_at, at))
        return known is None

    @transact("declare a schedule")
    def declare(self, declaration: Declaration, *, at: datetime) -> Transaction[Declared]:
        known = yield from _lock(declaration.tenant_id, declaration.name)
        declared, changed = schedule_changes.declare(known, declaration, at)
        if changed is not None:
            yield from _write(changed)
        return declared

    @transact("read a schedule", only_reads=True)
    def get(self, tenant_id: str, name: str) -> Transaction[StoredSchedule | None]:
        row = yield from first(_SQL["get"], **_key(tenant_id, name))
        return None if row is None else _stored(row)

    @transact("list schedules", only_reads=True)
    def page(
        self,
        tenant_id: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> Transaction[Sequence[StoredSchedule]]:
        values.check_limit(limit)
        after_tenant, after_name = after or (None, None)
        found = yield from fetch(
            _SQL["page"],
            tenant_id=tenant_id,
            after_tenant=after_tenant,
            after_name=after_name,
            limit=limit,
        )
        return [_stored(row) for row in found]

    @transact("pause a schedule")
    def pause(self, tenant_id: str, name: str, reason: str = "") -> Transaction[bool]:
        values.check_note("reason", reason)
        known = yield from _lock(tenant_id, name)
        if known is not None:
            yield from _write(schedule_changes.pause(known, PausedBy.OPERATOR, reason))
        return known is not None

    @transact("resume a schedule")
    def resume(self, read: StoredSchedule, *, next_tick_at: datetime | None) -> Transaction[bool]:
        known = yield from _lock(read.schedule.tenant_id, read.schedule.name)
        if known is None or known.revision != read.revision:
            return False
        yield from _write(schedule_changes.resume(known, next_tick_at))
        return True

    @transact("remove a schedule", is_single=True)
    def remove(self, tenant_id: str, name: str) -> Transaction[bool]:
        return (yield from first(_SQL["remove"], **_key(tenant_id, name))) is not None

    @transact("read due schedules", only_reads=True)
    def due(
        self, *, at: datetime, after: StoredSchedule | None = None, limit: int = 100
    ) -> Transaction[DueSchedules]:
        due = yield from fetch(
            _SQL["due"],
            at=at,
            after_at=None if after is None else after.wakes_at,
            after_tenant=None if after is None else after.schedule.tenant_id,
            after_name=None if after is None else after.schedule.name,
            limit=limit,
        )
        row = yield from only(_SQL["next"], at=at)
        return DueSchedules(tuple(map(_stored, due)), row["next_at"])

    @transact("store a tick")
    def fire(self, firing: Firing, *, at: datetime) -> Transaction[Fired]:
        schedule = firing.read.schedule
        found = yield from _lock(schedule.tenant_id, schedule.name)
        if found is None or not schedule_changes.is_as_read(firing, found):
            return Fired(outcome=FireOutcome.NOT_DUE)
        earlier = found.last_instance_id
        is_open = (yield from first(_SQL["is_open"], instance_id=earlier)) is not None
        plan = schedule_changes.plan(firing, found, is_earlier_open=is_open)
        if plan.outcome is FireOutcome.STARTED:
            start = schedule.start(schedule.instance_id(firing.tick), firing.tick)
            plan = schedule_changes.started(plan, (yield from starting.start(start, at)))
        if plan.outcome is FireOutcome.WAITS:
            return schedule_changes.outcome_of(firing, found, plan)
        if plan.cancels and earlier is not None:
            stop = Stop(earlier, CANCEL_GRACE, schedule_changes.cancel_reason(firing))
            yield from intervening.stop(stop, at)
        yield from _write(schedule_changes.fired(firing, found, plan))
        return schedule_changes.outcome_of(firing, found, plan)


def _key(tenant_id: str, name: str) -> dict[str, str]:
    values.check_storable("tenant_id", tenant_id)
    values.check_storable("name", name)
    return {"tenant_id": tenant_id, "name": name}


def _lock(tenant_id: str, name: str) -> Transaction[StoredSchedule | None]:
    key = _key(tenant_id, name)
    yield from fetch(_SQL["lock_name"], **key)
    row = yield from first(_SQL["lock"], **key)
    return None if row is None else _stored(row)


def _write(changed: StoredSchedule) -> Transaction[None]:
    yield from fetch(_SQL["write"], **_columns(changed))


def _columns(stored: StoredSchedule) -> dict[str, object]:
    """Return a schedule's columns by name; moments are datetimes, not text."""
    schedule = stored.schedule
    return {
        "tenant_id": schedule.tenant_id,
        "name": schedule.name,
        "workflow": schedule.workflow,
        "image_id": schedule.image_id,
        "cron": schedule.timing.cron,
        "time_zone": schedule.timing.time_zone,
        "missing": schedule.timing.missing.value,
        "duplicate": schedule.timing.duplicate.value,
        "overlap": schedule.overlap.value,
        "catch_up_ms": schedule.catch_up // _MILLISECOND,
        "jitter_ms": schedule.jitter // _MILLISECOND,
        "input": schedule.input,
        "queue": schedule.queue,
        "priority": schedule.priority,
        "revision": stored.revision,
        "created_at": stored.created_at,
        "is_declared": stored.is_declared,
        "code_versions": json.dumps(stored.code_versions, ensure_ascii=False),
        "paused_by": None if stored.paused_by is None else stored.paused_by.value,
        "pause_reason": stored.pause_reason,
        "next_tick_at": stored.next_tick_at,
        "last_tick_at": stored.last_tick_at,
        "last_instance_id": stored.last_instance_id,
        "buffered_tick_at": stored.buffered_tick_at,
        "problem": stored.problem,
    }


def _stored(row: Row) -> StoredSchedule:
    """Build a schedule from its columns; moments are datetimes, not text."""
    timing = Timing(
        row["cron"],
        row["time_zone"],
        LocalTimeRule(row["missing"]),
        LocalTimeRule(row["duplicate"]),
    )
    schedule = record(
        Schedule,
        row,
        timing=timing,
        overlap=Overlap(row["overlap"]),
        catch_up=row["catch_up_ms"] * _MILLISECOND,
        jitter=row["jitter_ms"] * _MILLISECOND,
    )
    paused_by = row["paused_by"]
    return record(
        StoredSchedule,
        row,
        schedule=schedule,
        is_declared=bool(row["is_declared"]),
        code_versions=tuple(json.loads(row["code_versions"])),
        paused_by=None if paused_by is None else PausedBy(paused_by),
    )
