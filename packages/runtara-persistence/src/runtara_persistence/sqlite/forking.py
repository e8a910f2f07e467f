"""Forking: a copy of an instance's history up to a point, within one transaction."""

import sqlite3
from datetime import datetime

from runtara_domain import values
from runtara_domain.model.children import ENDED
from runtara_domain.model.interventions import MAX_COPIED_CHECKPOINTS, Fork, Forked
from runtara_persistence import queries
from runtara_persistence.sqlite.rows import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "forking.sql")
_SOURCE = _QUERIES["source"]
_IS_TAKEN = _QUERIES["is_taken"]
_IMAGE = _QUERIES["image"]
_POINT = _QUERIES["point"]
_MEASURE = _QUERIES["measure"]
_REPEATED = _QUERIES["repeated"]
_UNHEARD_CHILD = _QUERIES["unheard_child"]
_COPY = _QUERIES["copy"]
_COPY_CHECKPOINTS = _QUERIES["copy.checkpoints"]
_COPY_SIGNALS = _QUERIES["copy.signals"]
_COPY_ASSOCIATE = _QUERIES["copy.associate"]


def fork(connection: sqlite3.Connection, asked: Fork, at: datetime) -> Forked:
    """Carry out `launches.fork`."""
    key: dict[str, object] = {
        "instance_id": asked.instance_id,
        "new_id": asked.new_instance_id,
        "ended": ENDED,
        "at": to_text(at),
    }
    source = connection.execute(_SOURCE, key).fetchone()
    if source is None:
        return Forked(is_found=False)
    if connection.execute(_IS_TAKEN, key).fetchone() is not None:
        return Forked(is_taken=True)
    image_id = asked.image_id or source[1]
    image = {"image_id": image_id, "tenant_id": source[0]}
    if image_id is not None and connection.execute(_IMAGE, image).fetchone() is None:
        return Forked(image_is_found=False)
    last_id = _last_id(connection, asked)
    if last_id is None:
        return Forked(point_is_found=False)
    key |= {"image_id": image_id, "last_id": last_id}
    return _copied(connection, key)


def _copied(connection: sqlite3.Connection, key: dict[str, object]) -> Forked:
    copied, newest_id = connection.execute(_MEASURE, key).fetchone()
    if copied > MAX_COPIED_CHECKPOINTS:
        return Forked(is_too_long=True, copied=copied)
    repeated = tuple(name for (name,) in connection.execute(_REPEATED, key))
    key |= {"newest_id": newest_id, "is_whole": not repeated}
    child = connection.execute(_UNHEARD_CHILD, key).fetchone()
    if child is not None:
        return Forked(open_child_id=child[0])
    for statement in (_COPY, _COPY_CHECKPOINTS, _COPY_SIGNALS, _COPY_ASSOCIATE):
        connection.execute(statement, key)
    return Forked(copied=copied, repeated=repeated)


def _last_id(connection: sqlite3.Connection, asked: Fork) -> int | None:
    """Tell the id up to which checkpoints are copied; None if the point is not there."""
    named = asked.through_checkpoint_id or asked.before_checkpoint_id
    if named is None:
        return values.MAX_INTEGER
    key = {"instance_id": asked.instance_id, "checkpoint_id": named}
    row = connection.execute(_POINT, key).fetchone()
    if row is None:
        return None
    return int(row[0]) - (0 if asked.before_checkpoint_id is None else 1)
