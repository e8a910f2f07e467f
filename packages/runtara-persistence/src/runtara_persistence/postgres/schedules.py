"""Schedules in PostgreSQL."""

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
from runtara_persistence import queries, schedule_rows
from runtara_persistence.postgres import starting
from runtara_persistence.postgres.connection import Connection
from runtara_persistence.postgres.database import OnDatabase, transact
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.transactions import intervening

_SQL = queries.load("runtara_persistence.postgres", "schedules.sql")


class PostgresSchedules(OnDatabase):
    """Fits `runtara_domain.ports.schedules.Schedules`."""

    @transact("put a schedule")
    async def put(
        self,
        connection: Connection,
        schedule: Schedule,
        *,
        next_tick_at: datetime | None,
        at: datetime,
    ) -> bool:
        known = await _lock(connection, schedule.tenant_id, schedule.name)
        await _write(connection, schedule_changes.put(known, schedule, next_tick_at, at))
        return known is None

    @transact("declare a schedule")
    async def declare(
        self, connection: Connection, declaration: Declaration, *, at: datetime
    ) -> Declared:
        known = await _lock(connection, declaration.tenant_id, declaration.name)
        declared, changed = schedule_changes.declare(known, declaration, at)
        if changed is not None:
            await _write(connection, changed)
        return declared

    async def get(self, tenant_id: str, name: str) -> StoredSchedule | None:
        _check(tenant_id, name)
        found = await self._database.read("read a schedule", _SQL["get"], tenant_id, name)
        return schedule_rows.schedule(found[0]) if found else None

    async def page(
        self,
        tenant_id: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> Sequence[StoredSchedule]:
        values.check_limit(limit)
        asked = (tenant_id, *(after or (None, None)), limit)
        found = await self._database.read("list schedules", _SQL["page"], *asked)
        return [schedule_rows.schedule(row) for row in found]

    @transact("pause a schedule")
    async def pause(
        self, connection: Connection, tenant_id: str, name: str, reason: str = ""
    ) -> bool:
        values.check_note("reason", reason)
        known = await _lock(connection, tenant_id, name)
        if known is not None:
            await _write(connection, schedule_changes.pause(known, PausedBy.OPERATOR, reason))
        return known is not None

    @transact("resume a schedule")
    async def resume(
        self, connection: Connection, read: StoredSchedule, *, next_tick_at: datetime | None
    ) -> bool:
        known = await _lock(connection, read.schedule.tenant_id, read.schedule.name)
        if known is None or known.revision != read.revision:
            return False
        await _write(connection, schedule_changes.resume(known, next_tick_at))
        return True

    async def remove(self, tenant_id: str, name: str) -> bool:
        _check(tenant_id, name)
        attempt = "remove a schedule"
        return bool(await self._database.write(attempt, _SQL["remove"], tenant_id, name))

    async def due(
        self, *, at: datetime, after: StoredSchedule | None = None, limit: int = 100
    ) -> DueSchedules:
        attempt = "read due schedules"
        behind: tuple[object, ...] = (None, None, None)
        if after is not None:
            behind = (after.wakes_at, after.schedule.tenant_id, after.schedule.name)
        due = await self._database.read(attempt, _SQL["due"], at, *behind, limit)
        [row] = await self._database.read(attempt, _SQL["next"], at)
        return DueSchedules(tuple(map(schedule_rows.schedule, due)), row["next_at"])

    @transact("store a tick")
    async def fire(self, connection: Connection, firing: Firing, *, at: datetime) -> Fired:
        schedule = firing.read.schedule
        found = await _lock(connection, schedule.tenant_id, schedule.name)
        if found is None or not schedule_changes.is_as_read(firing, found):
            return Fired(outcome=FireOutcome.NOT_DUE)
        earlier = found.last_instance_id
        is_open = bool(await connection.fetch(_SQL["is_open"], earlier))
        plan = schedule_changes.plan(firing, found, is_earlier_open=is_open)
        if plan.outcome is FireOutcome.STARTED:
            start = schedule.start(schedule.instance_id(firing.tick), firing.tick)
            plan = schedule_changes.started(plan, await starting.start(connection, start, at))
        if plan.outcome is FireOutcome.WAITS:
            return schedule_changes.outcome_of(firing, found, plan)
        if plan.cancels and earlier is not None:
            stop = Stop(earlier, CANCEL_GRACE, schedule_changes.cancel_reason(firing))
            await run_transaction(connection, intervening.stop(stop, at))
        await _write(connection, schedule_changes.fired(firing, found, plan))
        return schedule_changes.outcome_of(firing, found, plan)


def _check(tenant_id: str, name: str) -> None:
    values.check_storable("tenant_id", tenant_id)
    values.check_storable("name", name)


async def _lock(connection: Connection, tenant_id: str, name: str) -> StoredSchedule | None:
    _check(tenant_id, name)
    await connection.fetch(_SQL["lock_name"], tenant_id, name)
    found = await connection.fetch(_SQL["lock"], tenant_id, name)
    return schedule_rows.schedule(found[0]) if found else None


async def _write(connection: Connection, changed: StoredSchedule) -> None:
    await connection.execute(_SQL["write"], *schedule_rows.columns(changed).values())
