"""Events in SQLite, and the moves that come with some of them."""

import sqlite3
from datetime import datetime

from runtara_domain.model import Caller, Ending, Event, Recorded, Standing
from runtara_domain.status import Condition, SignalType, settle
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.moment import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "events.sql")
_FIND = _QUERIES["find"]
_ADD = _QUERIES["add"]
_TOUCH = _QUERIES["touch"]
_END_ENDED_SO = _QUERIES["end.ended_so"]
_END_MOVE = _QUERIES["end.move"]
_SUSPEND_SETTLE_SIGNAL = _QUERIES["suspend.settle_signal"]
_SUSPEND_MOVE = _QUERIES["suspend.move"]


class SqliteEvents:
    """Fits `runtara_domain.ports.events.Events`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        def step(connection: sqlite3.Connection) -> Recorded:
            return _append(connection, caller, event, when, to_text(at))

        return await self._database.write("keep an event", step)

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        def step(connection: sqlite3.Connection) -> Recorded:
            return _end(connection, caller, event, ending, when, to_text(at))

        return await self._database.write("end an instance", step)

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        def step(connection: sqlite3.Connection) -> Recorded:
            return _suspend(connection, caller, event, to_text(at))

        return await self._database.write("suspend an instance", step)


def _append(
    connection: sqlite3.Connection, caller: Caller, event: Event, when: Condition, at: str
) -> Recorded:
    before, _ = _find(connection, caller)
    if before is None or not before.admits(caller, when):
        return Recorded(before)
    _add(connection, caller, event)
    if not before.state.is_final:
        connection.execute(_TOUCH, {"instance_id": caller.instance_id, "at": at})
    return Recorded(before, after=before.state)


def _end(
    connection: sqlite3.Connection,
    caller: Caller,
    event: Event,
    ending: Ending,
    when: Condition,
    at: str,
) -> Recorded:
    before, _ = _find(connection, caller)
    if before is None or before.supersedes(caller):
        return Recorded(before)
    ended: dict[str, object] = {
        "instance_id": caller.instance_id,
        "status": ending.state.status,
        "output": ending.output,
        "error": ending.error,
        "at": at,
    }
    if before.state is ending.state and _has_ended_so(connection, ended):
        return Recorded(before, repeated=True, after=before.state)
    if not before.admits(caller, when):
        return Recorded(before)
    _add(connection, caller, event)
    connection.execute(_END_MOVE, ended)
    return Recorded(before, after=ending.state)


def _suspend(connection: sqlite3.Connection, caller: Caller, event: Event, at: str) -> Recorded:
    before, pending = _find(connection, caller)
    if before is None or before.supersedes(caller):
        return Recorded(before)
    after = settle(before.state, pending)
    if after is None:
        return Recorded(before)
    moved = {
        "instance_id": caller.instance_id,
        "status": after.status,
        "finished_at": at if after.is_final else None,
        "at": at,
    }
    _add(connection, caller, event)
    connection.execute(_SUSPEND_SETTLE_SIGNAL, moved)
    connection.execute(_TOUCH, moved)
    if after is not before.state:
        connection.execute(_SUSPEND_MOVE, moved)
    return Recorded(before, after=after)


def _find(
    connection: sqlite3.Connection, caller: Caller
) -> tuple[Standing | None, SignalType | None]:
    row = connection.execute(_FIND, {"instance_id": caller.instance_id}).fetchone()
    if row is None:
        return None, None
    status, sleep_until, run, signal_type = row
    pending = None if signal_type is None else SignalType(signal_type)
    return rows.standing(status, sleep_until, run), pending


def _add(connection: sqlite3.Connection, caller: Caller, event: Event) -> None:
    added = {
        "instance_id": caller.instance_id,
        "event_type": event.type,
        "checkpoint_id": event.checkpoint_id,
        "subtype": event.subtype,
        "created_at": to_text(event.created_at),
        "payload": event.payload,
    }
    connection.execute(_ADD, added)


def _has_ended_so(connection: sqlite3.Connection, ended: dict[str, object]) -> bool:
    [same] = connection.execute(_END_ENDED_SO, ended).fetchone()
    return bool(same)
