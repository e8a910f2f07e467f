"""Forking: a copy of an instance's history up to a point, within one transaction."""

from datetime import datetime

from runtara_domain import values
from runtara_domain.model.interventions import MAX_COPIED_CHECKPOINTS, Fork, Forked
from runtara_persistence import queries
from runtara_persistence.postgres import moves
from runtara_persistence.postgres.database import Connection

_SQL = queries.load("runtara_persistence.postgres", "forking.sql")


async def fork(connection: Connection, asked: Fork, at: datetime) -> Forked:
    """Carry out the port's step `launches.fork`."""
    source_id, new_id = asked.instance_id, asked.new_instance_id
    found = await connection.fetch(_SQL["source"], source_id, new_id)
    if not found:
        return Forked(is_found=False)
    [source] = found
    if source["is_taken"]:
        return Forked(is_taken=True)
    image_id = asked.image_id or source["image_id"]
    if image_id is not None and not await moves.has_image(
        connection, image_id, source["tenant_id"]
    ):
        return Forked(image_is_found=False)
    last_id = await _last_id(connection, asked)
    if last_id is None:
        return Forked(point_is_found=False)
    [sum_] = await connection.fetch(_SQL["measure"], source_id, last_id)
    copied, newest_id = sum_["copied"], sum_["newest_id"]
    if copied > MAX_COPIED_CHECKPOINTS:
        return Forked(is_too_long=True, copied=copied)
    rows = await connection.fetch(_SQL["repeated"], source_id, last_id)
    repeated = tuple(row["checkpoint_id"] for row in rows)
    children = await connection.fetch(
        _SQL["unheard_child"], source_id, not repeated, newest_id, values.CHILD_ENDED
    )
    if children:
        return Forked(open_child_id=children[0]["instance_id"])
    if not await connection.fetch(_SQL["copy"], source_id, new_id, at, image_id, newest_id):
        return Forked(is_taken=True)
    await connection.execute(_SQL["copy.checkpoints"], source_id, new_id, last_id)
    await connection.execute(_SQL["copy.signals"], source_id, new_id)
    await connection.execute(_SQL["copy.associate"], new_id)
    return Forked(copied=copied, repeated=repeated)


async def _last_id(connection: Connection, asked: Fork) -> int | None:
    """Return the row id up to which checkpoints are copied; None if the point does not exist."""
    named = asked.through_checkpoint_id or asked.before_checkpoint_id
    if named is None:
        return values.MAX_INTEGER
    found = await connection.fetch(_SQL["point"], asked.instance_id, named)
    if not found:
        return None
    return int(found[0]["id"]) - (0 if asked.before_checkpoint_id is None else 1)
