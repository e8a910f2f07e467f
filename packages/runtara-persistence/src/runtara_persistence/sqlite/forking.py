"""Forking: a copy of an instance's history up to a point, within one transaction."""

import sqlite3
from datetime import datetime

from runtara_domain import values
from runtara_domain.model.interventions import MAX_COPIED_CHECKPOINTS, Fork, Forked
from runtara_persistence import queries
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "forking.sql")


def fork(connection: sqlite3.Connection, asked: Fork, at: datetime) -> Forked:
    """Carry out the port's step `launches.fork`."""
    key: dict[str, object] = {
        "instance_id": asked.instance_id,
        "new_id": asked.new_instance_id,
        "ended": values.CHILD_ENDED,
        "at": to_text(at),
    }
    source = connection.execute(_SQL["source"], key).fetchone()
    if source is None:
        return Forked(is_found=False)
    if connection.execute(_SQL["is_taken"], key).fetchone() is not None:
        return Forked(is_taken=True)
    image_id = asked.image_id or source[1]
    image = {"image_id": image_id, "tenant_id": source[0]}
    if image_id is not None and connection.execute(_SQL["image"], image).fetchone() is None:
        return Forked(image_is_found=False)
    last_id = _last_id(connection, asked)
    if last_id is None:
        return Forked(point_is_found=False)
    key |= {"image_id": image_id, "last_id": last_id}
    return _copied(connection, key)


def _copied(connection: sqlite3.Connection, key: dict[str, object]) -> Forked:
    copied, newest_id = connection.execute(_SQL["measure"], key).fetchone()
    if copied > MAX_COPIED_CHECKPOINTS:
        return Forked(is_too_long=True, copied=copied)
    repeated = tuple(name for (name,) in connection.execute(_SQL["repeated"], key))
    key |= {"newest_id": newest_id, "is_whole": not repeated}
    child = connection.execute(_SQL["unheard_child"], key).fetchone()
    if child is not None:
        return Forked(open_child_id=child[0])
    for statement in (
        _SQL["copy"],
        _SQL["copy.checkpoints"],
        _SQL["copy.signals"],
        _SQL["copy.associate"],
    ):
        connection.execute(statement, key)
    return Forked(copied=copied, repeated=repeated)


def _last_id(connection: sqlite3.Connection, asked: Fork) -> int | None:
    """Return the row id up to which checkpoints are copied; None if the point does not exist."""
    named = asked.through_checkpoint_id or asked.before_checkpoint_id
    if named is None:
        return values.MAX_INTEGER
    key = {"instance_id": asked.instance_id, "checkpoint_id": named}
    row = connection.execute(_SQL["point"], key).fetchone()
    if row is None:
        return None
    return int(row[0]) - (0 if asked.before_checkpoint_id is None else 1)
