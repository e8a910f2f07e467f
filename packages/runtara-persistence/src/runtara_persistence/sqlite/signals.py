"""Signals in SQLite."""

import json
import sqlite3
from collections.abc import Collection
from datetime import datetime
from itertools import accumulate

from runtara_domain import values
from runtara_domain.model import (
    Acknowledged,
    Caller,
    CustomSignal,
    Delivered,
    Ending,
    Pending,
    Signal,
)
from runtara_domain.status import MOVES, Condition, Move, SignalType, State, acknowledge, replaces
from runtara_persistence import queries
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.children import tell_parent
from runtara_persistence.sqlite.database import OnDatabase, read, write_and_tell
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "signals.sql")


class SqliteSignals(OnDatabase):
    """Fits `runtara_domain.ports.signals.Signals`; calls the watch for each signal."""

    @read("read the signals of an instance")
    def pending(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        checkpoint_ids: Collection[str] = (),
    ) -> Pending:
        row = connection.execute(_SQL["pending"], {"instance_id": caller.instance_id}).fetchone()
        if row is None:
            return Pending(before=None)
        status, sleep_until, run, signal_type, payload = row
        before = rows.run_state(status, sleep_until, run)
        if before.state.is_final or before.supersedes(caller):
            return Pending(before)
        custom = _custom_signals(connection, caller.instance_id, checkpoint_ids)
        return Pending(before, rows.signal(signal_type, payload), custom)

    @write_and_tell("acknowledge a signal")
    def acknowledge(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        caller: Caller,
        acknowledged: SignalType,
        *,
        at: datetime,
    ) -> Acknowledged:
        before, pending = moves.state_and_signal(connection, caller.instance_id)
        if before is None or before.supersedes(caller) or pending is not acknowledged:
            return Acknowledged(before)
        after = acknowledge(before.state, acknowledged)
        if after is None:
            return Acknowledged(before)
        done = {"instance_id": caller.instance_id, "at": to_text(at)}
        connection.execute(_SQL["acknowledge.settle"], done)
        connection.execute(_SQL["acknowledge.touch"], done)
        if after is not before.state:
            _move(connection, caller.instance_id, after, to_text(at), heard)
        return Acknowledged(before, after)

    @write_and_tell("send a signal")
    def send(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        instance_id: str,
        signal: Signal,
        *,
        when: Condition,
        at: datetime,
    ) -> Delivered:
        before, pending = moves.state_and_signal(connection, instance_id)
        if before is None or before.state not in when:
            return Delivered(before)
        if before.state is State.PAUSED and signal.type is not SignalType.PAUSE:
            connection.execute(_SQL["send.make_due"], {"instance_id": instance_id})
        if not replaces(signal.type, pending):
            return Delivered(before)
        ends = signal.type is SignalType.CANCEL and before.state is State.PENDING
        put = {
            "instance_id": instance_id,
            "signal_type": signal.type,
            "payload": signal.payload,
            "at": to_text(at),
            "acknowledged_at": to_text(at) if ends else None,
        }
        connection.execute(_SQL["send.put"], put)
        if ends:
            _move(connection, instance_id, MOVES[Move.CANCEL].target, to_text(at), heard)
        heard.append(instance_id)
        return Delivered(before, stands=True)

    @write_and_tell("send a custom signal")
    def send_custom(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        instance_id: str,
        signal: CustomSignal,
        *,
        when: Condition,
        at: datetime,
    ) -> Delivered:
        found = connection.execute(
            _SQL["send_custom.find"], {"instance_id": instance_id}
        ).fetchone()
        if found is None:
            return Delivered(None)
        *run_state, waits = found
        before = rows.run_state(*run_state)
        if before.state not in when:
            return Delivered(before, waits=waits)
        put = {
            "instance_id": instance_id,
            "checkpoint_id": signal.checkpoint_id,
            "payload": signal.payload,
            "at": to_text(at),
        }
        is_first = connection.execute(_SQL["send_custom.put"], put).rowcount == 1
        if is_first and before.state is State.ASLEEP:
            connection.execute(
                _SQL["send_custom.make_due"], {"instance_id": instance_id, "at": to_text(at)}
            )
        if is_first:
            heard.append(instance_id)
        return Delivered(before, stands=is_first, waits=waits)


def _custom_signals(
    connection: sqlite3.Connection, instance_id: str, checkpoint_ids: Collection[str]
) -> dict[str, bytes]:
    if not checkpoint_ids:
        return {}
    named = {"instance_id": instance_id, "checkpoint_ids": json.dumps(list(checkpoint_ids))}
    found = connection.execute(_SQL["pending.named"], named).fetchall()
    # The sizes are read first: all payloads together may not fit in a server's memory.
    sizes = accumulate(size for _, size in found)
    fitting = [
        row_id
        for number, ((row_id, _), size) in enumerate(zip(found, sizes, strict=True))
        if number == 0 or size <= values.MAX_POLLED_BYTES
    ]
    sent = (
        connection.execute(_SQL["pending.custom"], {"id": row_id}).fetchone() for row_id in fitting
    )
    # A payload is missing if its instance was just deleted.
    return dict(filter(None, sent))


def _move(
    connection: sqlite3.Connection, instance_id: str, after: State, at: str, heard: list[str]
) -> None:
    moved = {
        "instance_id": instance_id,
        "status": after.status,
        "finished_at": at if after.is_final else None,
    }
    [(parent_id,)] = connection.execute(_SQL["move"], moved).fetchall()
    if after.is_final:
        tell_parent(connection, instance_id, parent_id, Ending(after), at, heard)
