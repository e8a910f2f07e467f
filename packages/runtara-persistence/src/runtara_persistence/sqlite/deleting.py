"""Deleting an instance with its children, within one transaction."""

import json
import sqlite3

from runtara_domain.model.interventions import Deleted, Deletion, Relative
from runtara_domain.status import SignalType
from runtara_persistence import queries
from runtara_persistence.sqlite import rows

_SQL = queries.load("runtara_persistence.sqlite", "deleting.sql")


def delete(connection: sqlite3.Connection, deletion: Deletion) -> Deleted:
    """Carry out `launches.delete`."""
    instance_id = deletion.instance_id
    row = connection.execute(_SQL["find"], {"instance_id": instance_id}).fetchone()
    if row is None:
        return Deleted(before=None)
    status, sleep_until, finished_at, launch_id, tenant_id, open_parent_id, told = row
    named = _relative(instance_id, status, sleep_until, launch_id, finished_at)
    pending = None if told is None else SignalType(told)
    if refused := deletion.refusal(named.state, named.finished_at, pending):
        return refused
    family = [named, *_children(connection, instance_id, tenant_id)]
    found = Deleted.decide(deletion, family, tenant_id, open_parent_id=open_parent_id)
    if found.deleted:
        gone = {"instance_ids": json.dumps(found.deleted)}
        connection.execute(_SQL["delete.associations"], gone)
        connection.execute(_SQL["delete"], gone)
    return found


def _children(connection: sqlite3.Connection, instance_id: str, tenant_id: str) -> list[Relative]:
    found: dict[str, Relative] = {}
    generation = [instance_id]
    while generation:
        asked = {"parent_ids": json.dumps(generation), "tenant_id": tenant_id}
        generation = []
        for name, *stands in connection.execute(_SQL["children"], asked):
            if name != instance_id and name not in found:
                found[name] = _relative(name, *stands)
                generation.append(name)
    return list(found.values())


def _relative(
    instance_id: str,
    status: str,
    sleep_until: str | None,
    launch_id: str | None,
    finished_at: str | None,
) -> Relative:
    state = rows.state(status, sleep_until)
    return Relative(instance_id, state, launch_id, rows.from_optional(finished_at))
