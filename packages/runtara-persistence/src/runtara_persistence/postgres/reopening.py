"""Reopening: a finished instance goes on, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain.model import Ending, FormerEnding, Reopened, child_signal_id, ending_signal
from runtara_domain.model.children import MAX_HEARD_OUTPUT_BYTES
from runtara_domain.model.reopening import SET_ASIDE, aside_suffix
from runtara_domain.status import MOVES, Move, State
from runtara_persistence import queries
from runtara_persistence.postgres import moves, rows

if TYPE_CHECKING:
    from runtara_domain.model import Reopening
    from runtara_domain.status import Condition
    from runtara_persistence.postgres.database import Connection

_SQL = queries.load("runtara_persistence.postgres", "reopening.sql")


async def reopen(
    connection: Connection, asked: Reopening, when: Condition, at: datetime
) -> Reopened:
    """Carry out the port's step `instances.reopen`."""
    instance_id = asked.instance_id
    parents = await connection.fetch(_SQL["lock_parent"], instance_id)
    found = await connection.fetch(_SQL["lock"], instance_id)
    if not found:
        return Reopened(before=None)
    [row] = found
    before = rows.run_state(row)
    if before.state not in when:
        return Reopened(before, before.run)
    former = FormerEnding(before.state, row["finished_at"], row["output"], row["error"])
    event = former.event(at)
    await moves.supersede(connection, instance_id, at)
    await connection.execute(_SQL["open"], instance_id, MOVES[Move.REOPEN].target.status, at)
    await connection.execute(_SQL["settle_signal"], instance_id, at)
    for parent in parents:
        parent_id = parent["instance_id"]
        await connection.execute(_SQL["forget_ending"], parent_id, child_signal_id(instance_id))
    await _hear_children(connection, instance_id, at)
    details = (event.type, event.payload, event.subtype, event.created_at)
    await connection.execute(_SQL["add_event"], instance_id, *details)
    run = before.run + 1
    return Reopened(before, run, await _set_aside(connection, asked, run))


async def _hear_children(connection: Connection, instance_id: str, at: datetime) -> None:
    # One byte more than the limit, so that an output that is too long for a signal is noticed.
    children = await connection.fetch(_SQL["children"], instance_id, MAX_HEARD_OUTPUT_BYTES + 1)
    if not children:
        return
    still_open = [child_signal_id(row["instance_id"]) for row in children if row["is_open"]]
    await connection.execute(_SQL["forget_children"], instance_id, still_open)
    endings = [
        (row["instance_id"], Ending(State(row["status"]), row["output"], row["error"]))
        for row in children
        if not row["is_open"]
    ]
    told = [(instance_id, *ending_signal(*ending), at) for ending in endings]
    await connection.executemany(_SQL["hear_child"], told)


async def _set_aside(connection: Connection, asked: Reopening, run: int) -> frozenset[str]:
    if not asked.set_aside:
        return frozenset()
    found = await connection.fetch(
        _SQL["set_aside"], asked.instance_id, list(asked.set_aside), aside_suffix(run), SET_ASIDE
    )
    names = [row["checkpoint_id"] for row in found]
    await connection.execute(_SQL["point"], asked.instance_id, names)
    return frozenset(names)
