"""Reopening: a finished instance goes on, in one step."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain.model import Ending, FormerEnding, Reopened, child_signal_id, ending_signal
from runtara_domain.model.reopening import SET_ASIDE, aside_suffix
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.rows import from_optional, to_text

if TYPE_CHECKING:
    from runtara_domain.model import Reopening
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.sqlite", "reopening.sql")


def reopen(
    connection: sqlite3.Connection, asked: Reopening, when: Condition, at: datetime
) -> Reopened:
    """Carry out the port's step `instances.reopen`."""
    key = {"instance_id": asked.instance_id}
    row = connection.execute(_SQL["find"], key).fetchone()
    if row is None:
        return Reopened(before=None)
    status, sleep_until, run, finished_at, output, error = row
    before = rows.run_state(status, sleep_until, run)
    if before.state not in when:
        return Reopened(before, run)
    opened = {
        "instance_id": asked.instance_id,
        "status": MOVES[Move.REOPEN].target.status,
        "signal_id": child_signal_id(asked.instance_id),
        "at": to_text(at),
    }
    moves.supersede(connection, asked.instance_id, to_text(at))
    connection.execute(_SQL["open"], opened)
    connection.execute(_SQL["settle_signal"], opened)
    connection.execute(_SQL["forget_ending"], opened)
    _hear_children(connection, asked.instance_id, to_text(at))
    former = FormerEnding(before.state, from_optional(finished_at), output, error).event(at)
    kept = {"event_type": former.type, "subtype": former.subtype, "payload": former.payload}
    connection.execute(_SQL["add_event"], {**opened, **kept})
    set_aside = {each for each in asked.set_aside if _set_aside(connection, asked, each, run + 1)}
    return Reopened(before, run + 1, frozenset(set_aside))


def _hear_children(connection: sqlite3.Connection, instance_id: str, at: str) -> None:
    key = {"instance_id": instance_id}
    for child_id, status, sleep_until, output, error in connection.execute(_SQL["children"], key):
        state = rows.state(status, sleep_until)
        if state.is_final:
            checkpoint_id, payload = ending_signal(child_id, Ending(state, output, error))
            told = {"checkpoint_id": checkpoint_id, "payload": payload, "at": at}
            connection.execute(_SQL["children.hear"], {**key, **told})
        else:
            unheard = {"checkpoint_id": child_signal_id(child_id)}
            connection.execute(_SQL["children.forget"], {**key, **unheard})


def _set_aside(
    connection: sqlite3.Connection, asked: Reopening, checkpoint_id: str, run: int
) -> bool:
    named = {
        "instance_id": asked.instance_id,
        "checkpoint_id": checkpoint_id,
        "suffix": aside_suffix(run),
        "reason": SET_ASIDE,
    }
    if connection.execute(_SQL["set_aside.checkpoint"], named).rowcount == 0:
        return False
    connection.execute(_SQL["set_aside.attempts"], named)
    connection.execute(_SQL["set_aside.point"], named)
    return True
