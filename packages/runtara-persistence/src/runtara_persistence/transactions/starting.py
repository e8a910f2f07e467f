"""Starts an instance, within a larger transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain.error import DatabaseError
from runtara_domain.model.launches import InstanceStart, Started
from runtara_persistence import queries, stored
from runtara_persistence.transactions import moves
from runtara_persistence.transactions.transaction import fetch, first

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("starting.sql")

_TRIES = 3
"""How often a row that stands in the way may have been deleted before it is read."""


def is_one_insert(start: InstanceStart) -> bool:
    """Whether a start only inserts a row, so that it needs no transaction around it."""
    return start.image_id is None and start.dedupe_key is None


def start(start: InstanceStart, at: datetime) -> Transaction[Started]:
    """Carry out the port's step `launches.start`, but for the claim of an offer."""
    image = None
    if start.image_id is not None:
        image = yield from moves.image(start.image_id, start.tenant_id)
    known = None
    if not is_one_insert(start):
        # Otherwise creating it finds out.
        known = yield from first(_SQL["find"], instance_id=start.instance_id)
    if known is None and start.image_id is not None and not (image and image["is_there"]):
        return Started(image_is_found=False)
    if known is None and (same := (yield from _with_same_key(start))) is not None:
        return Started(duplicate_of=same)
    # A row that stands in the way may be created after one query, and deleted before the other.
    tries = 0
    while known is None and not (yield from _create(start, at)):
        known = yield from first(_SQL["find"], instance_id=start.instance_id)
        tries += 1
        if known is None and tries == _TRIES:
            raise DatabaseError(
                "Failed to start an instance: its row is not stored, and no row of its id is there."
                " See whether a trigger on the table instances drops rows"
            )
    if known is not None:
        return Started(differs_in=_differences(start, image, known))
    if start.image_id is not None:
        yield from moves.associate(start.instance_id, at)
    return Started(created=True)


def _with_same_key(start: InstanceStart) -> Transaction[str | None]:
    if start.dedupe_key is None:
        return None
    key = {"tenant_id": start.tenant_id, "queue": start.queue, "dedupe_key": start.dedupe_key}
    yield from fetch(_SQL["one_at_a_time"], **key)
    found = yield from first(_SQL["same_key"], **key)
    return None if found is None else found["instance_id"]


def _differences(start: InstanceStart, image: Row | None, known: Row) -> tuple[str, ...]:
    return stored.differences(
        start,
        None if image is None else image["name"],
        known["tenant_id"],
        known["workflow"],
        known["input"],
        known["image_id"],
        known["image_tenant_id"],
        known["image_name"],
    )


def _create(start: InstanceStart, at: datetime) -> Transaction[bool]:
    return (yield from first(_SQL["create"], at=at, **stored.started(start))) is not None
