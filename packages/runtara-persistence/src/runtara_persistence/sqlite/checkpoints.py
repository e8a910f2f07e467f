"""Checkpoints in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model import CheckpointPage, CheckpointSummary, Slept, owner
from runtara_domain.status import MOVES, Move, SignalType, State
from runtara_persistence import queries, records
from runtara_persistence.sqlite import rows, saving
from runtara_persistence.sqlite.database import OnDatabase, read, write
from runtara_persistence.sqlite.group_commit import Shared
from runtara_persistence.sqlite.rows import from_optional, from_text, to_text
from runtara_persistence.sqlite.saving import Save

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        Checkpoint,
        CheckpointFilter,
        CheckpointWrite,
        Claim,
        RetryAttempt,
        RunState,
        Saved,
        Signal,
        Sleep,
    )
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.sqlite", "checkpoints.sql")

_SMALL = 64 * 1024
"""The most bytes of a state that is small enough to be written in the event loop's thread."""


class SqliteCheckpoints(OnDatabase):
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        step = Shared(saving.save, Save(caller, write, when, at))
        is_small = write.size <= _SMALL
        return await self._database.write("save a checkpoint", step, is_small=is_small)

    @read("read a checkpoint")
    def get(
        self, connection: sqlite3.Connection, instance_id: str, checkpoint_id: str
    ) -> Checkpoint | None:
        key = {"instance_id": instance_id, "checkpoint_id": checkpoint_id}
        return rows.first(connection, _SQL["get"], key, records.checkpoint)

    @write("begin a sleep")
    def sleep(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        sleep: Sleep,
        *,
        when: Condition,
        claim: Claim,
        earliest: datetime | None,
        at: datetime,
    ) -> Slept:
        key = {"instance_id": caller.instance_id, "checkpoint_id": sleep.checkpoint_id}
        row = connection.execute(_SQL["sleep.find"], key).fetchone()
        if row is None:
            return Slept(before=None)
        status, sleep_until, run, kept_id, kept_wake_at, signal_type, payload = row
        before = rows.run_state(status, sleep_until, run)
        if not before.admits(caller, when):
            return Slept(before)
        wake_at = from_optional(kept_wake_at)
        if wake_at is None:
            wake_at = _keep_deadline(connection, key, sleep, is_kept=kept_id is not None, at=at)
        signal = rows.signal(signal_type, payload)
        after = _lead(before.state, sleep, is_over=wake_at <= at or _is_cancel(signal))
        connection.execute(_SQL["sleep.touch"], {**key, "at": to_text(at)})
        if after is State.ASLEEP:
            asleep_until = from_optional(sleep_until) if before.state is State.ASLEEP else None
            until = min(each for each in (wake_at, earliest, asleep_until) if each is not None)
            # Claimed before it falls asleep: the watch calls for instances asleep and unclaimed.
            if not sleep.detach:
                _claim(connection, key, claim, at)
            _fall_asleep(connection, key, sleep, until)
        elif after is not before.state:
            connection.execute(_SQL["save.stir"], {**key, "status": after.status})
        return Slept(before, wake_at, signal, after)

    @write("record a retry attempt")
    def record_retry(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        attempt: RetryAttempt,
        *,
        when: Condition,
        at: datetime,
    ) -> RunState | None:
        recorded = {
            "instance_id": caller.instance_id,
            "row_id": attempt.row_id,
            "attempt_number": attempt.attempt_number,
            "error_message": attempt.error_message,
            "created_at": to_text(attempt.created_at),
            "at": to_text(at),
        }
        row = connection.execute(_SQL["record_retry.find"], recorded).fetchone()
        before = None if row is None else rows.run_state(*row)
        if before is not None and before.admits(caller, when):
            connection.execute(_SQL["record_retry.put"], recorded)
            connection.execute(_SQL["record_retry.touch"], recorded)
        return before

    @read("list checkpoints")
    def page(
        self,
        connection: sqlite3.Connection,
        instance_id: str,
        *,
        after_id: int = 0,
        limit: int = 100,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        values.check_storable("instance_id", instance_id)
        values.check_part(after_id, limit)
        asked = {
            "instance_id": instance_id,
            "after_id": after_id,
            "one_more": limit + 1,
            "listed_bytes": largest_state,
        }
        found = rows.found(connection, _SQL["page"], asked, records.entry)
        return CheckpointPage.of(found, limit)

    @read("count checkpoints")
    def count(self, connection: sqlite3.Connection, which: CheckpointFilter) -> int:
        asked = rows.parameters(records.columns(which))
        [count] = connection.execute(_SQL["count"], asked).fetchone()
        return int(count)

    @read("list checkpoints")
    def newest(
        self,
        connection: sqlite3.Connection,
        which: CheckpointFilter,
        *,
        offset: int = 0,
        limit: int = 100,
        largest_state: int | None = None,
    ) -> Sequence[CheckpointSummary]:
        values.check_part(0, limit, offset)
        part = {"limit": limit, "offset": offset, "largest_state": largest_state}
        return [
            CheckpointSummary(checkpoint_id, from_text(created_at), size, state)
            for checkpoint_id, created_at, size, state in connection.execute(
                _SQL["newest"], {**rows.parameters(records.columns(which)), **part}
            )
        ]


def _lead(state: State, asked: Sleep, *, is_over: bool) -> State:
    if asked.keep_running and state is State.RUNNING:
        return state
    if is_over and not asked.detach:
        stir = MOVES[Move.STIR]
        return stir.target if state in stir.sources else state
    return MOVES[Move.SLEEP].target


def _keep_deadline(
    connection: sqlite3.Connection,
    key: Mapping[str, str],
    asked: Sleep,
    *,
    is_kept: bool,
    at: datetime,
) -> datetime:
    wake_at = to_text(at + min(asked.duration, values.MAX_SLEEP))
    slept = {**key, "wake_at": wake_at, "at": to_text(at), "state": asked.state}
    if is_kept:
        connection.execute(_SQL["sleep.set_deadline"], slept)
    else:
        connection.execute(_SQL["sleep.insert"], slept)
        connection.execute(_SQL["sleep.point"], slept)
    return from_text(wake_at)


def _fall_asleep(
    connection: sqlite3.Connection, key: Mapping[str, str], asked: Sleep, until: datetime
) -> None:
    asleep = {
        **key,
        "status": State.ASLEEP.status,
        "sleep_until": to_text(until),
        "waits": asked.waits,
    }
    connection.execute(_SQL["sleep.fall_asleep"], asleep)


def _claim(
    connection: sqlite3.Connection, key: Mapping[str, str], claim: Claim, at: datetime
) -> None:
    claimed = {
        **key,
        "token": claim.token,
        "owner": owner(claim.token),
        "claim_until": to_text(claim.until),
        "at": to_text(at),
    }
    connection.execute(_SQL["sleep.claim"], claimed)


def _is_cancel(signal: Signal | None) -> bool:
    return signal is not None and signal.type is SignalType.CANCEL
