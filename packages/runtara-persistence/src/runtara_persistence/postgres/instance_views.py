"""All that operators see of one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtara_domain.model.waits import LONGEST_LINE
from runtara_persistence import queries, records
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.records import Waiting
from runtara_persistence.transactions import instance_views

if TYPE_CHECKING:
    from datetime import datetime

    from runtara_domain.launching.room import Room
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.waits import Awaited
    from runtara_persistence.postgres.connection import Connection
    from runtara_persistence.postgres.database import Database
    from runtara_persistence.records import Row

_SQL = queries.load("runtara_persistence.postgres", "instance_views.sql")


async def view(
    database: Database, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    """Return everything that is known about an instance."""
    attempt = "read an instance's details"
    row = await database.run(
        attempt,
        lambda connection: run_transaction(
            connection, instance_views.find(instance_id), step_timeout=database.step_timeout
        ),
        is_repeatable=True,
    )
    if row is None:
        return None
    if row["image_id"] is None and not _is_waiting(records.instance(row)):
        # All of it is in one row, as of every instance of a worker that has ended.
        return records.view(row, None, None)

    async def work(connection: Connection) -> InstanceView | None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _view(connection, instance_id, at, tenant_limit)

    return await database.run(attempt, work, is_repeatable=True)


async def _view(
    connection: Connection, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    row = await run_transaction(connection, instance_views.find(instance_id), step_timeout=None)
    if row is None:
        return None
    instance = records.instance(row)
    image = await run_transaction(connection, instance_views.image_of(row), step_timeout=None)
    waiting = None
    if _is_waiting(instance):
        waiting = await _waiting(connection, instance, image, row, tenant_limit, at)
    return records.view(row, image, waiting)


def _is_waiting(instance: Instance) -> bool:
    return instance.launch_id is None and not instance.state.is_final


async def _waiting(
    connection: Connection,
    instance: Instance,
    image: Image | None,
    row: Row,
    tenant_limit: int | None,
    at: datetime,
) -> Waiting:
    holds = await run_transaction(connection, instance_views.holds(), step_timeout=None)
    held_by = records.covering(holds, instance, image)
    found = await connection.fetch(_SQL["limits"], instance.tenant_id)
    limits = [records.limit(limit) for limit in found]
    if not limits and tenant_limit is None:
        return Waiting(held_by)
    # Only now: it has all that a claim needs.
    from runtara_persistence.postgres import claiming

    room = await claiming.room(connection, limits, tenant_limit, None, at)
    return Waiting(
        held_by,
        room.full(instance.tenant_id, None if image is None else image.name, row["queue"]),
        await _queue_wait(connection, instance, row, room, at),
    )


async def _queue_wait(
    connection: Connection, instance: Instance, row: Row, room: Room, at: datetime
) -> Awaited | None:
    from runtara_domain.launching.room import queued
    from runtara_persistence.postgres import claiming

    wait = room.queue_wait(instance, row["queue"], row["launch_after"], at)
    if wait is None:
        return None
    one = queued(instance, row["queue"], row["priority"], wait)
    return wait.in_line(await claiming.ahead(connection, one, at, LONGEST_LINE))
