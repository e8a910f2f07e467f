"""Instances as operators see them: the whole of one, lists, and metrics."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain.launching.room import queued
from runtara_domain.model.instance_lists import InstanceOrder
from runtara_domain.model.waits import LONGEST_LINE
from runtara_persistence import queries, records, stored
from runtara_persistence.records import Waiting
from runtara_persistence.sqlite import claiming, rows
from runtara_persistence.sqlite.rows import to_text

if TYPE_CHECKING:
    from runtara_domain.launching.room import Room
    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.waits import Awaited
    from runtara_persistence.records import Row

_SQL = queries.load("runtara_persistence.sqlite", "instance_lists.sql")
_PAGE = {order: _SQL[f"page.{order}"] for order in InstanceOrder}

_MILLISECOND = timedelta(milliseconds=1)


def view(
    connection: sqlite3.Connection, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    """Return everything that is known about an instance."""
    key = {"instance_id": instance_id}
    row = rows.first(connection, _SQL["view"], key, dict)
    if row is None:
        return None
    instance = records.instance(row)
    image = rows.first(connection, _SQL["view.image"], key, records.image)
    waiting = None
    if instance.launch_id is None and not instance.state.is_final:
        waiting = _waiting(connection, instance, image, row, tenant_limit, at)
    return records.view(row, image, waiting)


def _waiting(
    connection: sqlite3.Connection,
    instance: Instance,
    image: Image | None,
    row: Row,
    tenant_limit: int | None,
    at: datetime,
) -> Waiting:
    holds = rows.found(connection, _SQL["holds"], {}, records.hold)
    room = claiming.room(connection, tenant_limit, None, at)
    return Waiting(
        records.covering(holds, instance, image),
        room.full(instance.tenant_id, None if image is None else image.name, row["queue"]),
        _queue_wait(connection, instance, row, room, at),
    )


def _queue_wait(
    connection: sqlite3.Connection, instance: Instance, row: Row, room: Room, at: datetime
) -> Awaited | None:
    wait = room.queue_wait(instance, row["queue"], row["launch_after"], at)
    if wait is None:
        return None
    one = queued(instance, row["queue"], row["priority"], wait)
    return wait.in_line(claiming.ahead(connection, one, at, LONGEST_LINE))


def page(
    connection: sqlite3.Connection,
    which: InstanceQuery,
    order: InstanceOrder,
    after: InstancePlace | None,
    offset: int,
    limit: int,
) -> Sequence[ListedInstance]:
    """Return one page of a list of instances."""
    asked = {
        **rows.parameters(records.columns(which)),
        "moment": None if after is None else to_text(after.moment),
        "after_id": None if after is None else after.instance_id,
        "offset": offset,
        "limit": limit,
    }
    return rows.found(connection, _PAGE[order], asked, records.listed)


def count(connection: sqlite3.Connection, which: InstanceQuery, limit: int | None) -> int:
    """Count the instances that a query selects; counting stops at the limit."""
    asked = {**rows.parameters(records.columns(which)), "limit": -1 if limit is None else limit}
    [found] = connection.execute(_SQL["count"], asked).fetchone()
    return int(found)


def metrics(
    connection: sqlite3.Connection,
    tenant_id: str,
    since: datetime,
    until: datetime,
    period: timedelta,
) -> Sequence[MetricsBucket]:
    """Sum up the instances that finished in each period."""
    asked = {
        "tenant_id": tenant_id,
        "since": to_text(since),
        "until": to_text(until),
        "period_ms": period // _MILLISECOND,
    }
    return [
        stored.bucket(since + number * period, *sums)
        for number, *sums in connection.execute(_SQL["metrics"], asked)
    ]
