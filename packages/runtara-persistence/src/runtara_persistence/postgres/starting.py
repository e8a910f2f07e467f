"""Starts children together, with checkpoints of their parent, in one statement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, ChildrenStarted, NewChildren, RunState, Saved
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries, records
from runtara_persistence.postgres import rows

if TYPE_CHECKING:
    from runtara_domain.status import Condition
    from runtara_persistence.postgres.database import Database

_SQL = queries.load("runtara_persistence.postgres", "starting.sql")

_ATTEMPT = "start children"
_MOST_TRIES = 4


async def start(
    database: Database, caller: Caller, new: NewChildren, when: Condition, at: datetime
) -> ChildrenStarted:
    """Carry out the port's step `instances.start_children`."""
    for tries in range(1, _MOST_TRIES + 1):
        try:
            found = await database.write(_ATTEMPT, _SQL["start"], *_values(caller, new, when, at))
            break
        except DatabaseError as error:
            # Another has just stored such a row, which this statement couldn't see yet: nothing of
            # the statement is stored. The next one sees it.
            if tries == _MOST_TRIES or not _was_taken(error):
                raise
    if not found:
        return ChildrenStarted(before=None)
    [row] = found
    before = records.run_state(row)
    if not row["is_admitted"]:
        return ChildrenStarted(before)
    if row["refused"] is not None:
        return ChildrenStarted(before, refused=row["refused"] - 1, differs_in=rows.differences(row))
    created, count = set(row["created"]), len(new.children)
    return ChildrenStarted(
        before,
        tuple([place in created for place in range(1, count + 1)]),
        tuple(_saved(row, before, len(new.writes))),
        rows.signal(row),
    )


def _was_taken(error: DatabaseError) -> bool:
    return isinstance(error.__cause__, asyncpg.UniqueViolationError)


def _saved(row: asyncpg.Record, before: RunState, count: int) -> Iterator[Saved]:
    kept = dict(zip(row["kept_places"], row["kept_states"], strict=True))
    for place in range(1, count + 1):
        state = kept.get(place)
        yield Saved(before, state, is_large=place in kept and state is None)


def _values(caller: Caller, new: NewChildren, when: Condition, at: datetime) -> tuple[object, ...]:
    return (
        caller.instance_id,
        caller.run,
        rows.states(when),
        [child.child_id for child in new.children],
        [child.workflow for child in new.children],
        [child.input for child in new.children],
        [write.checkpoint_id for write in new.writes],
        [write.state for write in new.writes],
        at,
        MOVES[Move.STIR].target.status,
        values.MAX_FOUND_STATE_BYTES,
    )
