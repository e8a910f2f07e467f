"""Instances in memory as operators see them: the whole of one, lists, and metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from runtara_domain.launching.room import Room, queued
from runtara_domain.model.instance_lists import (
    MAX_LISTED_ERROR,
    InstanceOrder,
    InstancePlace,
    InstanceQuery,
    ListedInstance,
)
from runtara_domain.model.instance_views import InstanceView
from runtara_domain.model.metrics import MetricsBucket
from runtara_domain.model.stored_images import Image
from runtara_domain.model.stored_instances import Instance
from runtara_domain.model.waits import LONGEST_LINE, Awaited
from runtara_domain.status import InstanceStatus, State
from runtara_persistence import records
from runtara_persistence.memory import launching
from runtara_persistence.memory.rows import InstanceRow
from runtara_persistence.memory.store import Store
from runtara_persistence.records import Waiting

_ASCENDING = frozenset({InstanceOrder.CREATED_ASC, InstanceOrder.FINISHED_ASC})
_BY_END = frozenset({InstanceOrder.FINISHED_DESC, InstanceOrder.FINISHED_ASC})


def view(store: Store, row: InstanceRow, at: datetime, tenant_limit: int | None) -> InstanceView:
    """Return everything that is known about an instance."""
    image = _image(store, row)
    pending = store.pending_signal(row.instance_id)
    is_waiting = row.launch_id is None and not row.state.is_final
    columns = {
        **asdict(row),
        "blocked_reason": row.blocked_reason,
        "env": launching.env_text(store, row),
        "pending_signal": None if pending is None else pending.type,
    }
    return records.view(
        columns, image, _waiting(store, row, image, tenant_limit, at) if is_waiting else None
    )


def _waiting(
    store: Store, row: InstanceRow, image: Image | None, tenant_limit: int | None, at: datetime
) -> Waiting:
    instance = records.instance(row)
    room = launching.room(store, tenant_limit, None, at)
    return Waiting(
        records.covering(store.holds_in_order(), instance, image),
        room.full(row.tenant_id, None if image is None else image.name, row.queue),
        _queue_wait(store, row, instance, room, at),
    )


def _queue_wait(
    store: Store, row: InstanceRow, instance: Instance, room: Room, at: datetime
) -> Awaited | None:
    wait = room.queue_wait(instance, row.queue, row.launch_after, at)
    if wait is None:
        return None
    rank = queued(instance, row.queue, row.priority, wait).rank
    ahead = sum(
        since <= at and (-one.priority, since, one.instance_id) < rank
        for one in store.instances.values()
        if (one.tenant_id, one.queue) == (row.tenant_id, row.queue)
        and (since := launching.waits_since(one)) is not None
    )
    return wait.in_line(min(ahead, LONGEST_LINE))


def page(
    store: Store,
    which: InstanceQuery,
    order: InstanceOrder,
    after: InstancePlace | None,
    offset: int,
    limit: int,
) -> Sequence[ListedInstance]:
    """Return one page of a list of instances."""
    sign = 1 if order in _ASCENDING else -1

    def place(moment: datetime, instance_id: str) -> tuple[float, str]:
        return sign * moment.timestamp(), instance_id

    found = []
    for row in chosen(store, which):
        moment = row.finished_at if order in _BY_END else row.created_at
        if moment is not None:
            found.append((place(moment, row.instance_id), row))
    found.sort(key=lambda one: one[0])
    behind = None if after is None else place(after.moment, after.instance_id)
    rows = [row for at, row in found if behind is None or at > behind]
    return [_listed(store, row) for row in rows[offset : offset + limit]]


def chosen(store: Store, which: InstanceQuery) -> Iterator[InstanceRow]:
    """Go through the instances that a query selects."""
    for row in store.instances.values():
        if _is_meant(store, row, which) and _is_in_time(row, which):
            yield row


def metrics(
    store: Store, tenant_id: str, since: datetime, until: datetime, period: timedelta
) -> Sequence[MetricsBucket]:
    """Sum up the instances that finished in each period."""
    buckets: dict[int, list[InstanceRow]] = {}
    for row in store.instances.values():
        is_meant = row.tenant_id == tenant_id and row.state.is_final
        if is_meant and row.finished_at is not None and since <= row.finished_at < until:
            buckets.setdefault((row.finished_at - since) // period, []).append(row)
    return [_bucket(since + number * period, rows) for number, rows in sorted(buckets.items())]


def _bucket(start: datetime, rows: Sequence[InstanceRow]) -> MetricsBucket:
    states = [row.state for row in rows]
    spans = [row.finished_at - row.started_at for row in rows if row.finished_at and row.started_at]
    peaks = [row.memory_peak_bytes for row in rows if row.memory_peak_bytes is not None]
    average = sum(spans, timedelta(0)) / len(spans) if spans else None
    return MetricsBucket(
        start=start,
        completed=states.count(State.COMPLETED),
        failed=states.count(State.FAILED),
        cancelled=states.count(State.CANCELLED),
        average_duration=average and timedelta(milliseconds=average // timedelta(milliseconds=1)),
        shortest=min(spans, default=None),
        longest=max(spans, default=None),
        average_memory_bytes=sum(peaks) // len(peaks) if peaks else None,
        max_memory_bytes=max(peaks, default=None),
    )


def _listed(store: Store, row: InstanceRow) -> ListedInstance:
    image = _image(store, row)
    columns = {
        **asdict(row),
        "blocked_reason": row.blocked_reason,
        "image_id": launching.image_of(store, row),
        "image_name": None if image is None else image.name,
        "shown_error": None if row.error is None else row.error[:MAX_LISTED_ERROR],
    }
    return records.listed(columns)


def _image(store: Store, row: InstanceRow) -> Image | None:
    found = store.images.get(launching.image_of(store, row) or "")
    return None if found is None else records.image(found)


def _is_meant(store: Store, row: InstanceRow, which: InstanceQuery) -> bool:
    image = _image(store, row)
    prefix = which.image_name_prefix
    return (
        which.tenant_id in (None, row.tenant_id)
        and which.status in (None, InstanceStatus(row.status))
        and which.image_id in (None, launching.image_of(store, row))
        and which.workflow in (None, row.workflow or (image and image.name))
        and which.queue in (None, row.queue)
        and which.parent_id in (None, row.parent_id)
        and (prefix is None or (image is not None and image.name.startswith(prefix)))
        and (which.error_contains is None or which.error_contains in (row.error or ""))
        and which.blocked in (None, row.blocked_reason is not None)
    )


def _is_in_time(row: InstanceRow, which: InstanceQuery) -> bool:
    return (
        (which.created_since is None or which.created_since <= row.created_at)
        and (which.created_until is None or row.created_at < which.created_until)
        and _is_between(row.finished_at, which.finished_since, which.finished_until)
    )


def _is_between(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if since is None and until is None:
        return True
    return (
        moment is not None
        and (since is None or since <= moment)
        and (until is None or moment < until)
    )
