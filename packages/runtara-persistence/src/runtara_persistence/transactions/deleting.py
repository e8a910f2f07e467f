"""Deleting an instance with its children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtara_domain.model.interventions import Deleted, Deletion, Relative
from runtara_domain.status import SignalType, State
from runtara_persistence import queries
from runtara_persistence.transactions.moves import lock_parent
from runtara_persistence.transactions.transaction import fetch, first

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("deleting.sql")


def delete(deletion: Deletion) -> Transaction[Deleted]:
    """Carry out the port's step `launches.delete`."""
    instance_id = deletion.instance_id
    yield from lock_parent(instance_id)
    row = yield from first(_SQL["lock"], instance_id=instance_id)
    if row is None:
        return Deleted(before=None)
    named, tenant_id = _relative(row), row["tenant_id"]
    pending = yield from _pending(instance_id)
    if refused := deletion.refusal(named.state, named.finished_at, pending):
        return refused
    family = [named, *(yield from _children(instance_id, tenant_id))]
    decided = Deleted.decide(deletion, family, tenant_id, open_parent_id=row["open_parent_id"])
    if decided.deleted:
        yield from fetch(_SQL["delete.associations"], instance_ids=decided.deleted)
        yield from fetch(_SQL["delete"], instance_ids=decided.deleted)
    return decided


def _pending(instance_id: str) -> Transaction[SignalType | None]:
    # A statement of its own: that of the lock sees no signal that was sent while it waited.
    signal = yield from first(_SQL["pending"], instance_id=instance_id)
    return None if signal is None else SignalType(signal["signal_type"])


def _children(instance_id: str, tenant_id: str) -> Transaction[list[Relative]]:
    """
    Lock all below an instance whose row is locked, each generation before the next.

    A locked instance that is finished or suspended gets no more children.
    """
    found: dict[str, Relative] = {}
    generation = [instance_id]
    while generation:
        rows = yield from fetch(_SQL["lock_children"], parent_ids=generation, tenant_id=tenant_id)
        generation = []
        for row in rows:
            name = row["instance_id"]
            if name != instance_id and name not in found:
                found[name] = _relative(row)
                generation.append(name)
    return list(found.values())


def _relative(row: Row) -> Relative:
    return Relative(row["instance_id"], State(row["state"]), row["launch_id"], row["finished_at"])
