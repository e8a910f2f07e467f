"""Schedules in SQLite."""

import sqlite3
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
from runtara_persistence.sqlite import rows, starting
from runtara_persistence.sqlite.database import OnDatabase, read, write, write_and_tell
from runtara_persistence.sqlite.rows import from_optional, to_text
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions import intervening

_SQL = queries.load("runtara_persistence.sqlite", "schedules.sql")


class SqliteSchedules(OnDatabase):
    """Fits `runtara_domain.ports.schedules.Schedules`."""

    @write("put a schedule")
    def put(
        self,
        connection: sqlite3.Connection,
        schedule: Schedule,
        *,
        next_tick_at: datetime | None,
        at: datetime,
    ) -> bool:
        known = _get(connection, schedule.tenant_id, schedule.name)
        _write(connection, schedule_changes.put(known, schedule, next_tick_at, at))
        return known is None

    @write("declare a schedule")
    def declare(
        self, connection: sqlite3.Connection, declaration: Declaration, *, at: datetime
    ) -> Declared:
        known = _get(connection, declaration.tenant_id, declaration.name)
        declared, changed = schedule_changes.declare(known, declaration, at)
        if changed is not None:
            _write(connection, changed)
        return declared

    @read("read a schedule")
    def get(
        self, connection: sqlite3.Connection, tenant_id: str, name: str
    ) -> StoredSchedule | None:
        return _get(connection, tenant_id, name)

    @read("list schedules")
    def page(
        self,
        connection: sqlite3.Connection,
        tenant_id: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> Sequence[StoredSchedule]:
        values.check_limit(limit)
        after_tenant, after_name = after or (None, None)
        asked = {
            "tenant_id": tenant_id,
            "after_tenant": after_tenant,
            "after_name": after_name,
            "limit": limit,
        }
        return rows.found(connection, _SQL["page"], asked, schedule_rows.schedule)

    @write("pause a schedule")
    def pause(
        self, connection: sqlite3.Connection, tenant_id: str, name: str, reason: str = ""
    ) -> bool:
        values.check_note("reason", reason)
        known = _get(connection, tenant_id, name)
        if known is not None:
            _write(connection, schedule_changes.pause(known, PausedBy.OPERATOR, reason))
        return known is not None

    @write("resume a schedule")
    def resume(
        self,
        connection: sqlite3.Connection,
        read: StoredSchedule,
        *,
        next_tick_at: datetime | None,
    ) -> bool:
        known = _get(connection, read.schedule.tenant_id, read.schedule.name)
        if known is None or known.revision != read.revision:
            return False
        _write(connection, schedule_changes.resume(known, next_tick_at))
        return True

    @write("remove a schedule")
    def remove(self, connection: sqlite3.Connection, tenant_id: str, name: str) -> bool:
        key = _key(tenant_id, name)
        return connection.execute(_SQL["remove"], key).rowcount == 1

    @read("read what schedules are due")
    def due(
        self,
        connection: sqlite3.Connection,
        *,
        at: datetime,
        after: StoredSchedule | None = None,
        limit: int = 100,
    ) -> DueSchedules:
        after_at = None if after is None else after.wakes_at
        asked = {
            "at": to_text(at),
            "after_at": None if after_at is None else to_text(after_at),
            "after_tenant": None if after is None else after.schedule.tenant_id,
            "after_name": None if after is None else after.schedule.name,
            "limit": limit,
        }
        due = rows.found(connection, _SQL["due"], asked, schedule_rows.schedule)
        [next_at] = connection.execute(_SQL["next"], {"at": to_text(at)}).fetchone()
        return DueSchedules(tuple(due), from_optional(next_at))

    @write_and_tell("carry out a tick")
    def fire(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        firing: Firing,
        *,
        at: datetime,
    ) -> Fired:
        schedule = firing.read.schedule
        found = _get(connection, schedule.tenant_id, schedule.name)
        if found is None or not schedule_changes.is_as_read(firing, found):
            return Fired(outcome=FireOutcome.NOT_DUE)
        earlier = found.last_instance_id
        is_open = connection.execute(_SQL["is_open"], {"instance_id": earlier}).fetchone()
        plan = schedule_changes.plan(firing, found, is_earlier_open=is_open is not None)
        if plan.outcome is FireOutcome.STARTED:
            start = schedule.start(schedule.instance_id(firing.tick), firing.tick)
            plan = schedule_changes.started(plan, starting.start(connection, start, at))
        if plan.outcome is FireOutcome.WAITS:
            return schedule_changes.outcome_of(firing, found, plan)
        if plan.cancels and earlier is not None:
            stop = Stop(earlier, CANCEL_GRACE, schedule_changes.cancel_reason(firing))
            run_transaction(connection, intervening.stop(stop, at), heard)
        _write(connection, schedule_changes.fired(firing, found, plan))
        return schedule_changes.outcome_of(firing, found, plan)


def _key(tenant_id: str, name: str) -> dict[str, str]:
    values.check_storable("tenant_id", tenant_id)
    values.check_storable("name", name)
    return {"tenant_id": tenant_id, "name": name}


def _get(connection: sqlite3.Connection, tenant_id: str, name: str) -> StoredSchedule | None:
    return rows.first(connection, _SQL["get"], _key(tenant_id, name), schedule_rows.schedule)


def _write(connection: sqlite3.Connection, changed: StoredSchedule) -> None:
    connection.execute(_SQL["write"], rows.parameters(schedule_rows.columns(changed)))
