"""Checkpoints in SQLite."""

import sqlite3
from datetime import datetime

from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Saved, Signal
from runtara_domain.status import MOVES, Condition, Move, SignalType
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.moment import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "checkpoints.sql")
_SAVE_FIND = _QUERIES["save.find"]
_SAVE_INSERT = _QUERIES["save.insert"]
_SAVE_POINT = _QUERIES["save.point"]
_SAVE_STIR = _QUERIES["save.stir"]
_GET = _QUERIES["get"]


class SqliteCheckpoints:
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        def step(connection: sqlite3.Connection) -> Saved:
            return _save(connection, caller, write, when, at)

        return await self._database.write("save a checkpoint", step)

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        key = {"instance_id": instance_id, "checkpoint_id": checkpoint_id}

        def step(connection: sqlite3.Connection) -> Checkpoint | None:
            row = connection.execute(_GET, key).fetchone()
            return None if row is None else rows.checkpoint(row)

        return await self._database.read("read a checkpoint", step)


def _save(
    connection: sqlite3.Connection,
    caller: Caller,
    write: CheckpointWrite,
    when: Condition,
    at: datetime,
) -> Saved:
    key = {"instance_id": caller.instance_id, "checkpoint_id": write.checkpoint_id}
    row = connection.execute(_SAVE_FIND, key).fetchone()
    if row is None:
        return Saved(before=None)
    status, sleep_until, run, kept, signal_type, payload, custom_signal = row
    before = rows.standing(status, sleep_until, run)
    if not before.admits(caller, when):
        return Saved(before)
    if kept is None:
        saved = {**key, "state": write.state, "at": to_text(at)}
        connection.execute(_SAVE_INSERT, saved)
        connection.execute(_SAVE_POINT, saved)
    if before.state in MOVES[Move.STIR].sources:
        connection.execute(_SAVE_STIR, {**key, "status": MOVES[Move.STIR].target.status})
    signal = None if signal_type is None else Signal(SignalType(signal_type), payload)
    return Saved(before, kept, signal, custom_signal)
