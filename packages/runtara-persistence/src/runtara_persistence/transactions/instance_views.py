"""What operators see of one instance, but for what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtara_persistence import queries, records
from runtara_persistence.transactions.transaction import fetch, first

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold
    from runtara_domain.model.stored_images import Image
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("instance_views.sql")


def find(instance_id: str) -> Transaction[Row | None]:
    """Read an instance's row with all that is known from it; None if it is unknown."""
    return (yield from first(_SQL["find"], instance_id=instance_id))


def image_of(row: Row) -> Transaction[Image | None]:
    """Read the image of an instance; None if it has none."""
    found = yield from first(_SQL["image"], image_id=row["image_id"])
    return None if found is None else records.image(found)


def holds() -> Transaction[list[Hold]]:
    """Read all holds, in the order in which they cover an instance."""
    return [records.hold(row) for row in (yield from fetch(_SQL["holds"]))]
