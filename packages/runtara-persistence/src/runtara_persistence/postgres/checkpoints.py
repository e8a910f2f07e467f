"""Checkpoints in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from runtara_domain import model, values
from runtara_domain.error import DatabaseError
from runtara_domain.status import MOVES, Move, State
from runtara_persistence import queries, records
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import OnDatabase

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        Checkpoint,
        CheckpointFilter,
        CheckpointPage,
        CheckpointSummary,
        CheckpointWrite,
        Claim,
        RetryAttempt,
        RunState,
        Saved,
        Sleep,
        Slept,
    )
    from runtara_domain.status import Condition
    from runtara_persistence.postgres.saving import Saves

_SQL = queries.load("runtara_persistence.postgres", "checkpoints.sql")


class PostgresCheckpoints(OnDatabase):
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    @cached_property
    def _saves(self) -> Saves:
        # Only now: to read checkpoints needs no groups of saves.
        from runtara_persistence.postgres.saving import Saves

        return Saves(self._database)

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        return await self._saves.save(caller, write, when, at)

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        found = await self._database.read(
            "read a checkpoint", _SQL["get"], instance_id, checkpoint_id
        )
        return records.checkpoint(found[0]) if found else None

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
        found = await self._database.write(
            "begin a sleep",
            _SQL["sleep"],
            caller.instance_id,
            caller.run,
            rows.states(when),
            sleep.checkpoint_id,
            sleep.state,
            at,
            at + min(sleep.duration, values.MAX_SLEEP),
            sleep.keep_running,
            earliest,
            claim.until,
            claim.token,
            model.owner(claim.token),
            MOVES[Move.STIR].target.value,
            sleep.detach,
            sleep.waits,
        )
        if not found:
            return model.Slept(before=None)
        [row] = found
        before = records.run_state(row)
        if not row["is_admitted"]:
            return model.Slept(before)
        if row["after"] is None:
            raise DatabaseError(
                f"Failed to begin a sleep: the id {sleep.checkpoint_id!r} of instance"
                f" {caller.instance_id!r} is taken by the audit row of a retry attempt"
            )
        return model.Slept(before, row["wake_at"], rows.signal(row), State(row["after"]))

    async def record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, when: Condition, at: datetime
    ) -> RunState | None:
        found = await self._database.write(
            "record a retry attempt",
            _SQL["record_retry"],
            caller.instance_id,
            caller.run,
            rows.states(when),
            attempt.row_id,
            attempt.created_at,
            attempt.attempt_number,
            attempt.error_message,
            at,
            is_repeatable=True,
        )
        return records.run_state(found[0]) if found else None

    async def page(
        self,
        instance_id: str,
        *,
        after_id: int = 0,
        limit: int = 100,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        values.check_storable("instance_id", instance_id)
        values.check_part(after_id, limit)
        found = await self._database.read(
            "list checkpoints",
            _SQL["page"],
            instance_id,
            after_id,
            limit + 1,
            largest_state,
        )
        return model.CheckpointPage.of([records.entry(row) for row in found], limit)

    async def count(self, which: CheckpointFilter) -> int:
        asked = (which.instance_id, which.checkpoint_id, which.since, which.until)
        [row] = await self._database.read_much("count checkpoints", _SQL["count"], *asked)
        return int(row["count"])

    async def newest(
        self,
        which: CheckpointFilter,
        *,
        offset: int = 0,
        limit: int = 100,
        largest_state: int | None = None,
    ) -> Sequence[CheckpointSummary]:
        values.check_part(0, limit, offset)
        asked = (which.instance_id, which.checkpoint_id, which.since, which.until)
        found = await self._database.read(
            "list checkpoints", _SQL["newest"], *asked, limit, offset, largest_state
        )
        return [model.CheckpointSummary(**row) for row in found]
