"""Events in SQLite, and the moves that come with some of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model import Ending, EventStep, EventType, Recorded
from runtara_domain.model.launches import KEPT_LAUNCHES
from runtara_domain.model.reopening import REOPENED
from runtara_domain.status import MOVES, Move, State, settle
from runtara_persistence import queries, records
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.children import tell_parent
from runtara_persistence.sqlite.database import OnDatabase, read, write, write_and_tell
from runtara_persistence.sqlite.rows import to_text

if TYPE_CHECKING:
    from runtara_domain.model import Caller, Event, EventFilter, RunState, StoredEvent
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.sqlite", "events.sql")


class SqliteEvents(OnDatabase):
    """Fits `runtara_domain.ports.events.Events`; calls the watch for parents that get an end."""

    @write("keep an event")
    def append(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        event: Event,
        *,
        when: Condition,
        at: datetime,
    ) -> Recorded:
        return _append(connection, caller, event, when, to_text(at))

    @write_and_tell("end an instance")
    def end(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        caller: Caller,
        event: Event,
        ending: Ending,
        *,
        when: Condition,
        at: datetime,
    ) -> Recorded:
        step = EventStep(caller, event, when, ending)
        return _end(connection, step, ending, to_text(at), heard)

    @write_and_tell("suspend an instance")
    def suspend(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        caller: Caller,
        event: Event,
        *,
        at: datetime,
    ) -> Recorded:
        return _suspend(connection, caller, event, to_text(at), heard)

    @write_and_tell("keep a batch of events")
    def record_all(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        steps: Sequence[EventStep],
        *,
        at: datetime,
    ) -> list[Recorded]:
        moment = to_text(at)
        return [_record(connection, each, moment, heard) for each in steps]

    @read("list events")
    def page(
        self,
        connection: sqlite3.Connection,
        which: EventFilter,
        *,
        after_id: int = 0,
        offset: int = 0,
        limit: int = 100,
    ) -> list[StoredEvent]:
        values.check_part(after_id, limit, offset)
        asked = {**_asked(which), "after_id": after_id, "limit": limit, "offset": offset}
        return rows.found(connection, _SQL["page"], asked, records.event)

    @read("count events")
    def count(self, connection: sqlite3.Connection, which: EventFilter) -> int:
        [count] = connection.execute(_SQL["count"], _asked(which)).fetchone()
        return int(count)


def _asked(which: EventFilter) -> dict[str, object]:
    text = None if which.text is None else which.text.encode()
    return rows.parameters({**records.columns(which), "text": text})


def _record(connection: sqlite3.Connection, step: EventStep, at: str, heard: list[str]) -> Recorded:
    if step.ending is not None:
        return _end(connection, step, step.ending, at, heard)
    if step.event.type is EventType.SUSPENDED:
        return _suspend(connection, step.caller, step.event, at, heard)
    return _append(connection, step.caller, step.event, step.when, at)


def _append(
    connection: sqlite3.Connection, caller: Caller, event: Event, when: Condition, at: str
) -> Recorded:
    before = moves.run_state(connection, caller.instance_id)
    if before is None or not before.admits(caller, when):
        return Recorded(before)
    _add(connection, caller, event)
    if not before.state.is_final:
        connection.execute(_SQL["touch"], {"instance_id": caller.instance_id, "at": at})
    return Recorded(before, after=before.state)


def _end(
    connection: sqlite3.Connection, step: EventStep, ending: Ending, at: str, heard: list[str]
) -> Recorded:
    caller = step.caller
    before = moves.run_state(connection, caller.instance_id)
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
        is_closed = _is_launch_closed(connection, step)
        return Recorded(before, repeated=True, after=before.state, is_launch_closed=is_closed)
    if not before.admits(caller, step.when) or _is_reopened(connection, before.state, caller):
        return Recorded(before)
    _add(connection, caller, step.event)
    [(parent_id,)] = connection.execute(_SQL["end.move"], ended).fetchall()
    tell_parent(connection, caller.instance_id, parent_id, ending, at, heard)
    if caller.run is not None and step.event.exit_code is not None:
        _close_launch(connection, before, step.event.exit_code, caller.instance_id, at)
    is_closed = _is_launch_closed(connection, step)
    return Recorded(before, after=ending.state, is_launch_closed=is_closed)


def _close_launch(
    connection: sqlite3.Connection, ended: RunState, exit_code: int, instance_id: str, at: str
) -> None:
    """Close the launch of a run that has ended, if a worker executes it."""
    end = {"instance_id": instance_id, "run": ended.run, "exit_code": exit_code, "at": at}
    if connection.execute(_SQL["end.close"], end).fetchall():
        kept = {"instance_id": instance_id, "kept": KEPT_LAUNCHES}
        connection.execute(_SQL["end.forget_old"], kept)
        # Last, as `closing.release` is.
        connection.execute(_SQL["end.release"], kept)


def _is_launch_closed(connection: sqlite3.Connection, step: EventStep) -> bool:
    key = {"instance_id": step.caller.instance_id}
    return (
        step.event.exit_code is not None
        and connection.execute(_SQL["end.open_launch"], key).fetchone() is None
    )


def _suspend(
    connection: sqlite3.Connection, caller: Caller, event: Event, at: str, heard: list[str]
) -> Recorded:
    before, pending = moves.state_and_signal(connection, caller.instance_id)
    if before is None or before.supersedes(caller):
        return Recorded(before)
    if event.blocked_reason is not None:
        return _block(connection, before, caller, event, event.blocked_reason, at)
    if before.state is State.CANCELLED and _has_suspended_so(connection, caller, event):
        return Recorded(before, repeated=True, after=before.state)
    after = settle(before.state, pending)
    if after is None:
        return Recorded(before)
    moved = {
        "instance_id": caller.instance_id,
        "status": after.status,
        "finished_at": at if after.is_final else None,
        "waits": None if after.is_final else event.waits,
        "at": at,
    }
    _add(connection, caller, event)
    connection.execute(_SQL["suspend.settle_signal"], moved)
    connection.execute(_SQL["touch"], moved)
    if after is before.state:
        connection.execute(_SQL["suspend.stay"], moved)
    else:
        [(parent_id,)] = connection.execute(_SQL["suspend.move"], moved).fetchall()
        if after.is_final:
            tell_parent(connection, caller.instance_id, parent_id, Ending(after), at, heard)
    return Recorded(before, after=after)


def _block(
    connection: sqlite3.Connection,
    before: RunState,
    caller: Caller,
    event: Event,
    reason: str,
    at: str,
) -> Recorded:
    block = MOVES[Move.BLOCK]
    if before.state not in block.sources:
        return Recorded(before)
    _add(connection, caller, event)
    connection.execute(_SQL["touch"], {"instance_id": caller.instance_id, "at": at})
    moves.block(connection, caller.instance_id, reason, event.waits)
    return Recorded(before, after=block.target)


def _add(connection: sqlite3.Connection, caller: Caller, event: Event) -> None:
    added = {
        "instance_id": caller.instance_id,
        "event_type": event.type,
        "checkpoint_id": event.checkpoint_id,
        "subtype": event.subtype,
        "created_at": to_text(event.created_at),
        "payload": event.payload,
    }
    connection.execute(_SQL["add"], added)


def _is_reopened(connection: sqlite3.Connection, state: State, caller: Caller) -> bool:
    """Whether a caller without a run number must be from before the instance was reopened."""
    if caller.run is not None or state is not State.ASLEEP:
        return False
    asked = {"instance_id": caller.instance_id, "reopened": REOPENED}
    row = connection.execute(_SQL["end.is_reopened"], asked).fetchone()
    return row is not None and bool(row[0])


def _has_ended_so(connection: sqlite3.Connection, ended: dict[str, object]) -> bool:
    [same] = connection.execute(_SQL["end.ended_so"], ended).fetchone()
    return bool(same)


def _has_suspended_so(connection: sqlite3.Connection, caller: Caller, event: Event) -> bool:
    said = {"instance_id": caller.instance_id, "payload": event.payload}
    row = connection.execute(_SQL["suspend.ended_so"], said).fetchone()
    return row is not None and bool(row[0])
