"""Launches in SQLite, and the steps on instances that belong to launches."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtara_domain import values
from runtara_domain.model.instance_lists import InstanceOrder
from runtara_domain.model.launches import OpenLaunch
from runtara_domain.status import SignalType, State
from runtara_persistence import queries
from runtara_persistence.sqlite import claiming, instance_lists, launch_rows, rows
from runtara_persistence.sqlite.database import read, write, write_and_tell
from runtara_persistence.sqlite.rows import from_optional, from_text, to_text

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied, InstanceCopy, PutCopy
    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.interventions import (
        Deleted,
        Deletion,
        Fork,
        Forked,
        Moved,
        Retried,
        Retry,
        Stop,
        Stopped,
    )
    from runtara_domain.model.launches import (
        Claims,
        Closed,
        Closing,
        InstanceStart,
        Judge,
        Offer,
        Started,
    )
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_launches import Launch, LaunchFilter
    from runtara_persistence.sqlite.database import Database
    from runtara_persistence.sqlite.watch import Watch

_SQL = queries.load("runtara_persistence.sqlite", "launches.sql")


class SqliteLaunches:
    """
    Fits `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch

    @write("start an instance")
    def start(
        self,
        connection: sqlite3.Connection,
        start: InstanceStart,
        *,
        at: datetime,
        offer: Offer | None = None,
    ) -> Started:
        from runtara_persistence.sqlite import starting

        return starting.start(connection, start, at, offer)

    @write("claim instances to launch")
    def claim(
        self, connection: sqlite3.Connection, offer: Offer, *, limit: int, at: datetime
    ) -> Claims:
        values.check_limit(limit)
        return claiming.claim(connection, offer, limit, at)

    @write("note that a launch's process runs")
    def mark_started(
        self,
        connection: sqlite3.Connection,
        launch_id: str,
        *,
        handle: str | None = None,
        at: datetime,
    ) -> bool:
        marked = {"launch_id": launch_id, "handle": handle, "at": to_text(at)}
        return connection.execute(_SQL["mark_started"], marked).rowcount == 1

    @write_and_tell("close a launch")
    def close(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        closing_: Closing,
        judge: Judge,
        *,
        at: datetime,
    ) -> Closed:
        from runtara_persistence.sqlite import closing

        return closing.close(connection, heard, closing_, judge, at)

    @read("read open launches")
    def open_launches(
        self, connection: sqlite3.Connection, environment_id: str, *, at: datetime
    ) -> Sequence[OpenLaunch]:
        asked = {"environment_id": environment_id, "at": to_text(at)}
        return [_open_launch(row, at) for row in connection.execute(_SQL["open_launches"], asked)]

    @write_and_tell("stop an instance")
    def stop(
        self, connection: sqlite3.Connection, heard: list[str], stop: Stop, *, at: datetime
    ) -> Stopped:
        from runtara_persistence.sqlite import intervening

        return intervening.stop(connection, heard, stop, at)

    @write_and_tell("end instances that were stopped")
    def end_stopped(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        *,
        patience: timedelta = timedelta(seconds=2),
        limit: int = 100,
        at: datetime,
    ) -> Sequence[str]:
        from runtara_persistence.sqlite import intervening

        values.check_limit(limit)
        return intervening.end_stopped(connection, heard, patience, limit, at)

    @write("resume an instance")
    def resume(
        self, connection: sqlite3.Connection, instance_id: str, *, at: datetime
    ) -> State | None:
        from runtara_persistence.sqlite import intervening

        values.check_storable("instance_id", instance_id)
        return intervening.resume(connection, instance_id, at)

    @write("end the back-off of instances that waited for room")
    def end_waits(self, connection: sqlite3.Connection, instance_ids: Collection[str]) -> None:
        for instance_id in instance_ids:
            connection.execute(_SQL["end_waits"], {"instance_id": instance_id})

    @write("retry an instance")
    def retry(self, connection: sqlite3.Connection, retry: Retry, *, at: datetime) -> Retried:
        from runtara_persistence.sqlite import intervening

        return intervening.retry(connection, retry, at)

    @write("move an instance to another image")
    def move(
        self, connection: sqlite3.Connection, instance_id: str, image_id: str, *, at: datetime
    ) -> Moved:
        from runtara_persistence.sqlite import intervening

        values.check_id("image_id", image_id)
        values.check_storable("instance_id", instance_id)
        return intervening.move(connection, instance_id, image_id, at)

    @write("fork an instance")
    def fork(self, connection: sqlite3.Connection, fork: Fork, *, at: datetime) -> Forked:
        from runtara_persistence.sqlite import forking

        return forking.fork(connection, fork, at)

    @write("delete an instance")
    def delete(self, connection: sqlite3.Connection, deletion: Deletion) -> Deleted:
        from runtara_persistence.sqlite import deleting

        values.check_storable("instance_id", deletion.instance_id)
        return deleting.delete(connection, deletion)

    @read("take a copy of an instance")
    def copy(self, connection: sqlite3.Connection, instance_id: str) -> Copied | None:
        from runtara_persistence.sqlite import copying

        values.check_storable("instance_id", instance_id)
        return copying.take(connection, instance_id)

    @write("put a copy of an instance in")
    def put_copy(
        self,
        connection: sqlite3.Connection,
        copy: InstanceCopy,
        source: str,
        *,
        image_id: str | None,
        at: datetime,
    ) -> PutCopy:
        from runtara_persistence.sqlite import copying

        return copying.put(connection, copy, source, image_id, at)

    @read("list launches")
    def page(
        self,
        connection: sqlite3.Connection,
        which: LaunchFilter,
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[Launch]:
        values.check_limit(limit)
        place = connection.execute(_SQL["page.place"], {"after": after}).fetchone()
        asked = {
            "instance_id": which.instance_id,
            "environment_id": which.environment_id,
            "open_only": which.open_only,
            "after": after,
            "created_at": None if place is None else place[0],
            "limit": limit,
        }
        return [launch_rows.launch(row) for row in connection.execute(_SQL["page"], asked)]

    @read("read all of an instance")
    def view(
        self,
        connection: sqlite3.Connection,
        instance_id: str,
        *,
        at: datetime,
        tenant_limit: int | None = None,
    ) -> InstanceView | None:
        values.check_storable("instance_id", instance_id)
        return instance_lists.view(connection, instance_id, at, tenant_limit)

    @read("list instances")
    def instances(
        self,
        connection: sqlite3.Connection,
        which: InstanceQuery,
        *,
        order: InstanceOrder = InstanceOrder.CREATED_DESC,
        after: InstancePlace | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[ListedInstance]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        return instance_lists.page(connection, which, order, after, offset, limit)

    @read("count instances")
    def count_instances(
        self, connection: sqlite3.Connection, which: InstanceQuery, *, limit: int | None = None
    ) -> int:
        return instance_lists.count(connection, which, limit)

    @read("sum up a tenant's instances")
    def metrics(
        self,
        connection: sqlite3.Connection,
        tenant_id: str,
        *,
        since: datetime,
        until: datetime,
        period: timedelta,
    ) -> Sequence[MetricsBucket]:
        values.check_storable("tenant_id", tenant_id)
        return instance_lists.metrics(connection, tenant_id, since, until, period)


def _open_launch(row: Sequence[Any], at: datetime) -> OpenLaunch:
    launch_id, instance_id, tenant_id, environment_id, number, created_at, *rest = row
    image_id, workflow, queue, started_at, handle, timeout_at, status, sleep_until, *rest = rest
    run, last_activity_at, is_held, stop_at, stop_reason, signal_type, told_at = rest
    state = rows.state(status, sleep_until)
    slept = from_optional(sleep_until)
    due = [slept] if state is State.ASLEEP and slept is not None and slept <= at else []
    if told_at is not None:
        due.append(from_text(told_at))
    return OpenLaunch(
        launch_id=launch_id,
        instance_id=instance_id,
        tenant_id=tenant_id,
        environment_id=environment_id,
        number=number,
        created_at=from_text(created_at),
        state=state,
        image_id=image_id,
        workflow=workflow,
        queue=queue,
        started_at=from_optional(started_at),
        handle=handle,
        run=run,
        timeout_at=from_optional(timeout_at),
        last_activity_at=from_text(last_activity_at),
        sleep_until=slept,
        due_since=None if is_held else min(due, default=None),
        is_sleep_held=bool(is_held),
        pending_signal=None if signal_type is None else SignalType(signal_type),
        stop_at=from_optional(stop_at),
        stop_reason=stop_reason,
    )
