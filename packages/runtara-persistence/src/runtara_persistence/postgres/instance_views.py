"""All that operators see of one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtara_domain.model.instance_views import InstanceView
from runtara_domain.model.waits import LONGEST_LINE
from runtara_domain.status import SignalType
from runtara_persistence import queries, stored
from runtara_persistence.postgres import launch_rows, rows

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from runtara_domain.launching.room import Room
    from runtara_domain.model.limits import Hold, Limit
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.waits import Awaited
    from runtara_persistence.postgres.database import Connection, Database

_SQL = queries.load("runtara_persistence.postgres", "instance_lists.sql")


async def view(
    database: Database, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    """Return everything that is known about an instance."""
    attempt = "read an instance's details"
    found = await database.read(attempt, _SQL["view"], instance_id)
    if not found:
        return None
    if found[0]["image_id"] is None and not _is_waiting(rows.instance(found[0])):
        # All of it is in one row, as of every instance of a worker that has ended.
        return _seen(found[0], None, _Kept())

    async def work(connection: Connection) -> InstanceView | None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _view(connection, instance_id, at, tenant_limit)

    return await database.run(attempt, work, is_repeatable=True)


async def _view(
    connection: Connection, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    found = await connection.fetch(_SQL["view"], instance_id)
    if not found:
        return None
    [row] = found
    images = await connection.fetch(_SQL["view.image"], row["image_id"])
    image = launch_rows.image(images[0]) if images else None
    kept, instance = _Kept(), rows.instance(row)
    if _is_waiting(instance):
        kept = await _kept(connection, instance, image, row, tenant_limit, at)
    return _seen(row, image, kept)


def _is_waiting(instance: Instance) -> bool:
    return instance.launch_id is None and not instance.state.is_final


def _seen(row: asyncpg.Record, image: Image | None, kept: _Kept) -> InstanceView:
    instance, pending = rows.instance(row), row["pending_signal"]
    return InstanceView(
        instance=instance,
        input=row["input"],
        image=image,
        launches=row["launch_count"],
        crashes=row["crashes"],
        next_launch_at=row["launch_after"] if _is_waiting(instance) else None,
        priority=row["priority"],
        queue=row["queue"],
        env=stored.env(row["env"]),
        timeout=stored.start_timeout(row["timeout_ms"]),
        stop_at=row["stop_at"],
        stop_reason=row["stop_reason"],
        pending_signal=None if pending is None else SignalType(pending),
        held_by=kept.held_by,
        bounded_by=kept.bounded_by,
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        progress=row["progress"],
        queue_wait=kept.queue_wait,
    )


class _Kept(NamedTuple):
    """What keeps an instance from being launched."""

    held_by: Hold | None = None
    bounded_by: Limit | None = None
    queue_wait: Awaited | None = None


async def _kept(
    connection: Connection,
    instance: Instance,
    image: Image | None,
    row: asyncpg.Record,
    tenant_limit: int | None,
    at: datetime,
) -> _Kept:
    name = None if image is None else image.name
    workflow = image.workflow if instance.workflow is None and image else instance.workflow
    holds = [launch_rows.hold(hold) for hold in await connection.fetch(_SQL["holds"])]
    covering = (hold for hold in holds if hold.covers(instance.tenant_id, name, workflow))
    found = await connection.fetch(_SQL["view.limits"], instance.tenant_id)
    limits = [launch_rows.limit(limit) for limit in found]
    if not limits and tenant_limit is None:
        return _Kept(next(covering, None))
    # Only now: it has all that a claim needs.
    from runtara_persistence.postgres import claiming

    room = await claiming.room(connection, limits, tenant_limit, None, at)
    return _Kept(
        next(covering, None),
        room.full(instance.tenant_id, name, row["queue"]),
        await _queue_wait(connection, instance, row, room, at),
    )


async def _queue_wait(
    connection: Connection, instance: Instance, row: asyncpg.Record, room: Room, at: datetime
) -> Awaited | None:
    from runtara_domain.launching.room import queued
    from runtara_persistence.postgres import claiming

    wait = room.queue_wait(instance, row["queue"], row["launch_after"], at)
    if wait is None:
        return None
    one = queued(instance, row["queue"], row["priority"], wait)
    return wait.in_line(await claiming.ahead(connection, one, at, LONGEST_LINE))
