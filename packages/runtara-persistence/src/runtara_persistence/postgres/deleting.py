"""Deleting an instance with its children, within one transaction."""

import asyncpg

from runtara_domain.model.interventions import Deleted, Deletion, Relative
from runtara_domain.status import SignalType, State
from runtara_persistence import queries
from runtara_persistence.postgres import moves
from runtara_persistence.postgres.database import Connection

_SQL = queries.load("runtara_persistence.postgres", "deleting.sql")


async def delete(connection: Connection, deletion: Deletion) -> Deleted:
    """Carry out `launches.delete`."""
    instance_id = deletion.instance_id
    await moves.lock_parent(connection, instance_id)
    found = await connection.fetch(_SQL["lock"], instance_id)
    if not found:
        return Deleted(before=None)
    [row] = found
    named = _relative(row)
    pending = await _pending(connection, instance_id) if deletion.also_suspended else None
    if refused := deletion.refusal(named.state, named.finished_at, pending):
        return refused
    family = [named, *await _children(connection, instance_id, row["tenant_id"])]
    decided = Deleted.decide(
        deletion, family, row["tenant_id"], open_parent_id=row["open_parent_id"]
    )
    if decided.deleted:
        await connection.execute(_SQL["delete.associations"], decided.deleted)
        await connection.execute(_SQL["delete"], decided.deleted)
    return decided


async def _pending(connection: Connection, instance_id: str) -> SignalType | None:
    # A statement of its own: that of the lock sees no signal that was sent while it waited.
    found = await connection.fetch(_SQL["pending"], instance_id)
    return SignalType(found[0]["signal_type"]) if found else None


async def _children(connection: Connection, instance_id: str, tenant_id: str) -> list[Relative]:
    """
    Lock all below an instance whose row is locked, each generation before the next.

    A locked instance that is finished or suspended gets no more children.
    """
    found: dict[str, Relative] = {}
    generation = [instance_id]
    while generation:
        rows = await connection.fetch(_SQL["lock_children"], generation, tenant_id)
        generation = []
        for row in rows:
            name = row["instance_id"]
            if name != instance_id and name not in found:
                found[name] = _relative(row)
                generation.append(name)
    return list(found.values())


def _relative(row: asyncpg.Record) -> Relative:
    return Relative(row["instance_id"], State(row["state"]), row["launch_id"], row["finished_at"])
