"""Instances as operators see them: the whole of one, lists, and metrics."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtara_domain.launching.room import queued
from runtara_domain.model.instance_lists import MAX_LISTED_ERROR, InstanceOrder, ListedInstance
from runtara_domain.model.instance_views import InstanceView
from runtara_domain.model.waits import LONGEST_LINE
from runtara_domain.status import SignalType
from runtara_persistence import queries, stored
from runtara_persistence.sqlite import claiming, launch_rows, rows
from runtara_persistence.sqlite.rows import from_optional, to_text

if TYPE_CHECKING:
    from runtara_domain.launching.room import Room
    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.waits import Awaited

_SQL = queries.load("runtara_persistence.sqlite", "instance_lists.sql")
_PAGE = {order: _SQL[f"page.{order}"] for order in InstanceOrder}

_INSTANCE_COLUMNS = 21
_MILLISECOND = timedelta(milliseconds=1)


def view(
    connection: sqlite3.Connection, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    """Return everything that is known about an instance."""
    key = {"instance_id": instance_id}
    row = connection.execute(_SQL["view"], key).fetchone()
    if row is None:
        return None
    instance = rows.instance(row[:_INSTANCE_COLUMNS])
    given, launches, crashes, launch_after, priority, queue, env, *rest = row[_INSTANCE_COLUMNS:]
    timeout_ms, stop_at, stop_reason, pending, attempt, max_attempts, progress = rest
    found = connection.execute(_SQL["view.image"], key).fetchone()
    image = None if found is None else launch_rows.image(found)
    name = None if image is None else image.name
    workflow = image.workflow if instance.workflow is None and image else instance.workflow
    is_waiting = instance.launch_id is None and not instance.state.is_final
    holds = (
        [launch_rows.hold(hold) for hold in connection.execute(_SQL["holds"])] if is_waiting else []
    )
    covering = (hold for hold in holds if hold.covers(instance.tenant_id, name, workflow))
    room = claiming.room(connection, tenant_limit, None, at)
    return InstanceView(
        instance=instance,
        input=given,
        image=image,
        launches=launches,
        crashes=crashes,
        next_launch_at=from_optional(launch_after) if is_waiting else None,
        priority=priority,
        queue=queue,
        env=stored.env(env),
        timeout=stored.start_timeout(timeout_ms),
        stop_at=from_optional(stop_at),
        stop_reason=stop_reason,
        pending_signal=None if pending is None else SignalType(pending),
        held_by=next(covering, None),
        bounded_by=room.full(instance.tenant_id, name, queue) if is_waiting else None,
        attempt=attempt,
        max_attempts=max_attempts,
        progress=progress,
        queue_wait=_queue_wait(connection, instance, (queue, priority, launch_after), room, at)
        if is_waiting
        else None,
    )


def _queue_wait(
    connection: sqlite3.Connection,
    instance: Instance,
    queueing: tuple[str | None, int, str | None],
    room: Room,
    at: datetime,
) -> Awaited | None:
    queue, priority, launch_after = queueing
    wait = room.queue_wait(instance, queue, from_optional(launch_after), at)
    if wait is None:
        return None
    one = queued(instance, queue, priority, wait)
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
        **_asked(which),
        "shown": MAX_LISTED_ERROR,
        "moment": None if after is None else to_text(after.moment),
        "after_id": None if after is None else after.instance_id,
        "offset": offset,
        "limit": limit,
    }
    return [_listed(row) for row in connection.execute(_PAGE[order], asked)]


def count(connection: sqlite3.Connection, which: InstanceQuery, limit: int | None) -> int:
    """Count the instances that a query selects; counting stops at the limit."""
    asked = {**_asked(which), "limit": -1 if limit is None else limit}
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


def _listed(row: Sequence[Any]) -> ListedInstance:
    *columns, image_id, image_name, queue, error, launch_after = row
    summary = rows.summary(columns)
    return ListedInstance(
        summary=summary,
        image_id=image_id,
        image_name=image_name,
        queue=queue,
        error=error,
        next_at=stored.next_at(summary, from_optional(launch_after)),
    )


def _asked(which: InstanceQuery) -> dict[str, object]:
    moments = {
        "created_since": which.created_since,
        "created_until": which.created_until,
        "finished_since": which.finished_since,
        "finished_until": which.finished_until,
    }
    return {
        "tenant_id": which.tenant_id,
        "status": which.status,
        "image_id": which.image_id,
        "prefix": which.image_name_prefix,
        "workflow": which.workflow,
        "queue": which.queue,
        "parent_id": which.parent_id,
        "error_contains": which.error_contains,
        "blocked": which.blocked,
        **{name: None if moment is None else to_text(moment) for name, moment in moments.items()},
    }
