"""Parts of transactions that move an instance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain.status import MOVES, Move, SignalType
from runtara_persistence import queries
from runtara_persistence.transactions.transaction import execute_many, fetch, first

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("moves.sql")


def lock_parent(instance_id: str) -> Transaction[str | None]:
    """
    Lock the parent of an instance, as all steps do before they lock both; return its id.

    Return None if the instance has no parent.
    """
    parent = yield from first(_SQL["lock_parent"], instance_id=instance_id)
    return None if parent is None else parent["instance_id"]


def image(image_id: str, tenant_id: str) -> Transaction[Row | None]:
    """Return the `name` of a tenant's image, and `is_there`: it is not deleted. Locks the image."""
    return (yield from first(_SQL["image"], image_id=image_id, tenant_id=tenant_id))


def has_image(image_id: str, tenant_id: str) -> Transaction[bool]:
    """Whether a tenant has an image that is not deleted; locks it against deletion."""
    found = yield from image(image_id, tenant_id)
    return found is not None and bool(found["is_there"])


def associate(instance_id: str, at: datetime) -> Transaction[None]:
    """Store which image an instance has, if it has one, for programs that ask by images."""
    yield from fetch(_SQL["associate"], instance_id=instance_id, at=at)


def block(instance_id: str, reason: str) -> Transaction[None]:
    """Pause a locked instance for this reason; its pending signal no longer makes it due."""
    status = MOVES[Move.BLOCK].target.status.value
    yield from fetch(_SQL["block"], instance_id=instance_id, status=status, reason=reason)


def unblock(
    instance_ids: Sequence[str], at: datetime, signal: SignalType = SignalType.RESUME
) -> Transaction[None]:
    """Make instances due: send this signal, or keep a pending one that is stronger."""
    sent = {"signal_type": signal.value, "at": at, "payload": b""}
    each = [{"instance_id": instance_id, **sent} for instance_id in instance_ids]
    yield from execute_many(_SQL["unblock.send"], each)
    yield from fetch(_SQL["unblock.clear"], instance_ids=instance_ids)


def supersede(instance_id: str, at: datetime) -> Transaction[None]:
    """Close the open launch, if there is one, before another run takes the instance."""
    yield from fetch(_SQL["supersede.close"], instance_id=instance_id, at=at)
    yield from fetch(_SQL["supersede.release"], instance_id=instance_id)
