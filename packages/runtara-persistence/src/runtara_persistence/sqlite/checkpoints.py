"""Checkpoints in SQLite."""

import sqlite3
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointPage,
    CheckpointWrite,
    Claim,
    RetryAttempt,
    Saved,
    Sleep,
    Slept,
    Standing,
)
from runtara_domain.status import Condition
from runtara_persistence import queries
from runtara_persistence.sqlite import rows, saving
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.group_commit import Shared
from runtara_persistence.sqlite.moment import to_text
from runtara_persistence.sqlite.saving import Save
from runtara_persistence.sqlite.sleep import sleep as fall_asleep

_QUERIES = queries.load("runtara_persistence.sqlite", "checkpoints.sql")
_GET = _QUERIES["get"]
_RECORD_RETRY_FIND = _QUERIES["record_retry.find"]
_RECORD_RETRY_PUT = _QUERIES["record_retry.put"]
_RECORD_RETRY_TOUCH = _QUERIES["record_retry.touch"]
_PAGE = _QUERIES["page"]
_COUNT = _QUERIES["count"]


class SqliteCheckpoints:
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        step = Shared(saving.save, Save(caller, write, when, at))
        return await self._database.write("save a checkpoint", step)

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        key = {"instance_id": instance_id, "checkpoint_id": checkpoint_id}

        def step(connection: sqlite3.Connection) -> Checkpoint | None:
            row = connection.execute(_GET, key).fetchone()
            return None if row is None else rows.checkpoint(row)

        return await self._database.read("read a checkpoint", step)

    async def sleep(
        self,
        caller: Caller,
        sleep: Sleep,
        *,
        when: Condition,
        claim: Claim,
        earliest: datetime | None,
        at: datetime,
    ) -> Slept:
        def step(connection: sqlite3.Connection) -> Slept:
            return fall_asleep(
                connection, caller, sleep, when=when, claim=claim, earliest=earliest, at=at
            )

        return await self._database.write("begin a sleep", step)

    async def record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, when: Condition, at: datetime
    ) -> Standing | None:
        def step(connection: sqlite3.Connection) -> Standing | None:
            return _record_retry(connection, caller, attempt, when, at)

        return await self._database.write("record a retry attempt", step)

    async def page(
        self, instance_id: str, *, after_id: int = 0, limit: int = 100
    ) -> CheckpointPage:
        values.check_storable("instance_id", instance_id)
        values.check_part(after_id, limit)

        def step(connection: sqlite3.Connection) -> CheckpointPage:
            return _page(connection, instance_id, after_id, limit)

        return await self._database.read("list checkpoints", step)

    async def count(self, instance_id: str) -> int:
        values.check_storable("instance_id", instance_id)

        def step(connection: sqlite3.Connection) -> int:
            [count] = connection.execute(_COUNT, {"instance_id": instance_id}).fetchone()
            return int(count)

        return await self._database.read("count checkpoints", step)


def _record_retry(
    connection: sqlite3.Connection,
    caller: Caller,
    attempt: RetryAttempt,
    when: Condition,
    at: datetime,
) -> Standing | None:
    recorded = {
        "instance_id": caller.instance_id,
        "row_id": attempt.row_id,
        "attempt_number": attempt.attempt_number,
        "error_message": attempt.error_message,
        "created_at": to_text(attempt.created_at),
        "at": to_text(at),
    }
    row = connection.execute(_RECORD_RETRY_FIND, recorded).fetchone()
    before = None if row is None else rows.standing(*row)
    if before is not None and before.admits(caller, when):
        connection.execute(_RECORD_RETRY_PUT, recorded)
        connection.execute(_RECORD_RETRY_TOUCH, recorded)
    return before


def _page(
    connection: sqlite3.Connection, instance_id: str, after_id: int, limit: int
) -> CheckpointPage:
    asked = {
        "instance_id": instance_id,
        "after_id": after_id,
        "one_more": limit + 1,
        "listed_bytes": values.MAX_LISTED_STATE_BYTES,
    }
    found = connection.execute(_PAGE, asked).fetchall()
    entries = tuple(rows.entry(row) for row in found[:limit])
    goes_on = len(found) > limit
    return CheckpointPage(entries, next_id=entries[-1].id if goes_on else None)
