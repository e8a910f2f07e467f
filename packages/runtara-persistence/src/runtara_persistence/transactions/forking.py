"""Forking: a copy of an instance's history up to a point."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.interventions import MAX_COPIED_CHECKPOINTS, Fork, Forked
from runtara_persistence import queries
from runtara_persistence.transactions.moves import associate, has_image
from runtara_persistence.transactions.transaction import fetch, first, only

if TYPE_CHECKING:
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("forking.sql")


def fork(asked: Fork, at: datetime) -> Transaction[Forked]:
    """Carry out the port's step `launches.fork`."""
    source_id, new_id = asked.instance_id, asked.new_instance_id
    source = yield from first(_SQL["source"], instance_id=source_id, new_id=new_id)
    if source is None:
        return Forked(is_found=False)
    if source["is_taken"]:
        return Forked(is_taken=True)
    image_id = asked.image_id or source["image_id"]
    if image_id is not None and not (yield from has_image(image_id, source["tenant_id"])):
        return Forked(image_is_found=False)
    last_id = yield from _last_id(asked)
    if last_id is None:
        return Forked(point_is_found=False)
    sum_ = yield from only(_SQL["measure"], instance_id=source_id, last_id=last_id)
    copied, newest_id = sum_["copied"], sum_["newest_id"]
    if copied > MAX_COPIED_CHECKPOINTS:
        return Forked(is_too_long=True, copied=copied)
    rows = yield from fetch(_SQL["repeated"], instance_id=source_id, last_id=last_id)
    repeated = tuple(row["checkpoint_id"] for row in rows)
    child = yield from first(
        _SQL["unheard_child"],
        instance_id=source_id,
        is_whole=not repeated,
        newest_id=newest_id,
        ended=values.CHILD_ENDED,
    )
    if child is not None:
        return Forked(open_child_id=child["instance_id"])
    new = yield from first(
        _SQL["copy"],
        instance_id=source_id,
        new_id=new_id,
        at=at,
        image_id=image_id,
        newest_id=newest_id,
    )
    if new is None:
        return Forked(is_taken=True)
    yield from fetch(
        _SQL["copy.checkpoints"], instance_id=source_id, new_id=new_id, last_id=last_id
    )
    yield from fetch(_SQL["copy.signals"], instance_id=source_id, new_id=new_id)
    yield from associate(new_id, at)
    return Forked(copied=copied, repeated=repeated)


def _last_id(asked: Fork) -> Transaction[int | None]:
    """Return the row id up to which checkpoints are copied; None if the point does not exist."""
    named = asked.through_checkpoint_id or asked.before_checkpoint_id
    if named is None:
        return values.MAX_INTEGER
    point = yield from first(_SQL["point"], instance_id=asked.instance_id, checkpoint_id=named)
    if point is None:
        return None
    return int(point["id"]) - (0 if asked.before_checkpoint_id is None else 1)
