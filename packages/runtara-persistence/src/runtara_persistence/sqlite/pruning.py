"""Deleting finished instances, a bounded part at a time."""

import json
import sqlite3
from dataclasses import dataclass

from runtara_persistence import queries
from runtara_persistence.sqlite.group_commit import Step

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
_FIND = _QUERIES["prune.find"]
_INSTANCES = _QUERIES["prune.instances"]
_BELONGINGS = (
    _QUERIES["prune.checkpoints"],
    _QUERIES["prune.events"],
    _QUERIES["prune.custom_signals"],
)

_MAX_INSTANCES = 100
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction did. instances: how many are gone. is_last: no more are to be found."""

    instances: int
    is_last: bool


def batch(finished_before: str, limit: int) -> Step[Batch]:
    """
    Prepare a step towards deleting the oldest finished instances.

    One with very many rows takes several: they go first, and the instance itself with the last.
    """
    most = min(limit, _MAX_INSTANCES)

    def step(connection: sqlite3.Connection) -> Batch:
        asked = {"finished_before": finished_before, "limit": most}
        oldest = [instance_id for (instance_id,) in connection.execute(_FIND, asked)]
        if _delete_belongings(connection, oldest):
            _delete(connection, _INSTANCES, oldest)
            return Batch(len(oldest), is_last=len(oldest) < most)
        return Batch(0, is_last=False)

    return step


def _delete_belongings(connection: sqlite3.Connection, instance_ids: list[str]) -> bool:
    """Delete at most so many rows; tells whether none are left."""
    left = _MAX_ROWS
    for statement in _BELONGINGS:
        left -= _delete(connection, statement, instance_ids, rows=left)
    return left > 0


def _delete(
    connection: sqlite3.Connection, statement: str, instance_ids: list[str], *, rows: int = 0
) -> int:
    asked = {"instance_ids": json.dumps(instance_ids), "rows": rows}
    return connection.execute(statement, asked).rowcount
