"""All that operators see of one instance."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain.launching.room import queued
from runtara_domain.model.waits import LONGEST_LINE
from runtara_persistence import records
from runtara_persistence.records import Waiting
from runtara_persistence.sqlite import claiming
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions import instance_views

if TYPE_CHECKING:
    from runtara_domain.launching.room import Room
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.waits import Awaited
    from runtara_persistence.records import Row


def view(
    connection: sqlite3.Connection, instance_id: str, at: datetime, tenant_limit: int | None
) -> InstanceView | None:
    """Return everything that is known about an instance."""
    row = run_transaction(connection, instance_views.find(instance_id), [])
    if row is None:
        return None
    instance = records.instance(row)
    image = run_transaction(connection, instance_views.image_of(row), [])
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
    holds = run_transaction(connection, instance_views.holds(), [])
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
