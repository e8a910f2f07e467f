"""Reopening: a finished instance goes on, in one step."""

import sqlite3
from datetime import datetime

from runtara_domain.model import (
    Ending,
    FormerEnding,
    Reopened,
    Reopening,
    child_signal_id,
    ending_signal,
)
from runtara_domain.model.reopening import SET_ASIDE, aside_suffix
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows, superseding
from runtara_persistence.sqlite.rows import from_optional, to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "reopening.sql")
_FIND = _QUERIES["find"]
_OPEN = _QUERIES["open"]
_SETTLE_SIGNAL = _QUERIES["settle_signal"]
_ADD_EVENT = _QUERIES["add_event"]
_FORGET_ENDING = _QUERIES["forget_ending"]
_CHILDREN = _QUERIES["children"]
_CHILDREN_FORGET = _QUERIES["children.forget"]
_CHILDREN_HEAR = _QUERIES["children.hear"]
_SET_ASIDE_CHECKPOINT = _QUERIES["set_aside.checkpoint"]
_SET_ASIDE_ATTEMPTS = _QUERIES["set_aside.attempts"]
_SET_ASIDE_POINT = _QUERIES["set_aside.point"]


def reopen(
    connection: sqlite3.Connection, asked: Reopening, when: Condition, at: datetime
) -> Reopened:
    """Carry out `instances.reopen`."""
    key = {"instance_id": asked.instance_id}
    row = connection.execute(_FIND, key).fetchone()
    if row is None:
        return Reopened(before=None)
    status, sleep_until, run, finished_at, output, error = row
    before = rows.standing(status, sleep_until, run)
    if before.state not in when:
        return Reopened(before, run)
    opened = {
        "instance_id": asked.instance_id,
        "status": MOVES[Move.REOPEN].target.status,
        "signal_id": child_signal_id(asked.instance_id),
        "at": to_text(at),
    }
    superseding.close_launch(connection, asked.instance_id, to_text(at))
    connection.execute(_OPEN, opened)
    connection.execute(_SETTLE_SIGNAL, opened)
    connection.execute(_FORGET_ENDING, opened)
    _hear_children(connection, asked.instance_id, to_text(at))
    former = FormerEnding(before.state, from_optional(finished_at), output, error).event(at)
    kept = {"event_type": former.type, "subtype": former.subtype, "payload": former.payload}
    connection.execute(_ADD_EVENT, {**opened, **kept})
    set_aside = {each for each in asked.set_aside if _set_aside(connection, asked, each, run + 1)}
    return Reopened(before, run + 1, frozenset(set_aside))


def _hear_children(connection: sqlite3.Connection, instance_id: str, at: str) -> None:
    key = {"instance_id": instance_id}
    for child_id, status, sleep_until, output, error in connection.execute(_CHILDREN, key):
        state = rows.state(status, sleep_until)
        if state.is_final:
            checkpoint_id, payload = ending_signal(child_id, Ending(state, output, error))
            told = {"checkpoint_id": checkpoint_id, "payload": payload, "at": at}
            connection.execute(_CHILDREN_HEAR, {**key, **told})
        else:
            unheard = {"checkpoint_id": child_signal_id(child_id)}
            connection.execute(_CHILDREN_FORGET, {**key, **unheard})


def _set_aside(
    connection: sqlite3.Connection, asked: Reopening, checkpoint_id: str, run: int
) -> bool:
    named = {
        "instance_id": asked.instance_id,
        "checkpoint_id": checkpoint_id,
        "suffix": aside_suffix(run),
        "reason": SET_ASIDE,
    }
    if connection.execute(_SET_ASIDE_CHECKPOINT, named).rowcount == 0:
        return False
    connection.execute(_SET_ASIDE_ATTEMPTS, named)
    connection.execute(_SET_ASIDE_POINT, named)
    return True
