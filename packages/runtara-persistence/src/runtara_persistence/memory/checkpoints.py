"""Checkpoints in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from runtara_domain import values
from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointEntry,
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
from runtara_domain.status import Condition, SignalType, State
from runtara_persistence.memory import saving
from runtara_persistence.memory.rows import CheckpointRow, InstanceRow
from runtara_persistence.memory.store import OnStore, step


class MemoryCheckpoints(OnStore):
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    @step
    def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        row, before = self._store.admitted(caller, when)
        if row is None or before is None:
            return Saved(before)
        *_, saved = [saving.save(self._store, row, one, before, at) for one in write.in_turn]
        return replace(
            saved,
            signal=self._store.pending_signal(caller.instance_id),
            custom_signal=self._store.custom_signal(caller.instance_id, write.checkpoint_id),
        )

    @step
    def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        row = self._store.checkpoint(instance_id, checkpoint_id)
        if row is None:
            return None
        return Checkpoint(row.checkpoint_id, row.state, row.created_at, row.wake_at)

    @step
    def sleep(
        self,
        caller: Caller,
        sleep: Sleep,
        *,
        when: Condition,
        claim: Claim,
        earliest: datetime | None,
        at: datetime,
    ) -> Slept:
        row, before = self._store.admitted(caller, when)
        if row is None:
            return Slept(before)
        wake_at = self._deadline(row, sleep, at)
        row.show_life(at)
        signal = self._store.pending_signal(caller.instance_id)
        cancelled = signal is not None and signal.type is SignalType.CANCEL
        is_kept_running = row.state is State.RUNNING and sleep.keep_running
        if (wake_at <= at or cancelled) and not sleep.detach:
            saving.stir(row, at)
        elif not is_kept_running:
            asleep_until = row.sleep_until if row.state is State.ASLEEP else None
            moments = (wake_at, earliest, asleep_until)
            row.fall_asleep(min(moment for moment in moments if moment is not None))
            row.waits = sleep.waits
            if not sleep.detach and not row.is_anothers(claim.token, at):
                row.claim(claim)
            self._store.tell_if_launchable(row, at)
        return Slept(before, wake_at, signal, after=row.state)

    @step
    def record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, when: Condition, at: datetime
    ) -> RunState | None:
        row, before = self._store.admitted(caller, when)
        if row is not None:
            self._keep_attempt(caller.instance_id, attempt)
            row.show_life(at)
        return before

    @step
    def page(
        self,
        instance_id: str,
        *,
        after_id: int = 0,
        limit: int = 100,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        values.check_storable("instance_id", instance_id)
        values.check_part(after_id, limit)
        rows = (row for row in self._saved(instance_id) if row.id > after_id)
        found = [self._entry(row, largest_state) for row in islice(rows, limit + 1)]
        return CheckpointPage.of(found, limit)

    @step
    def count(self, which: CheckpointFilter) -> int:
        return len(self._chosen(which))

    @step
    def newest(
        self,
        which: CheckpointFilter,
        *,
        offset: int = 0,
        limit: int = 100,
        largest_state: int | None = None,
    ) -> Sequence[CheckpointSummary]:
        values.check_part(0, limit, offset)
        largest = -1 if largest_state is None else largest_state
        return [
            CheckpointSummary(
                row.checkpoint_id,
                row.created_at,
                len(row.state),
                row.state if len(row.state) <= largest else None,
            )
            for row in self._chosen(which)[::-1][offset : offset + limit]
        ]

    def _chosen(self, which: CheckpointFilter) -> list[CheckpointRow]:
        return [
            row
            for row in self._saved(which.instance_id)
            if which.checkpoint_id in (None, row.checkpoint_id)
            and (which.since is None or row.created_at >= which.since)
            and (which.until is None or row.created_at < which.until)
        ]

    def _deadline(self, row: InstanceRow, sleep: Sleep, at: datetime) -> datetime:
        found = self._store.checkpoint(row.instance_id, sleep.checkpoint_id)
        if found is None:
            found = saving.insert(self._store, row, sleep.checkpoint_id, sleep.state, at)
        if found.wake_at is None:
            found.wake_at = at + min(sleep.duration, values.MAX_SLEEP)
        return found.wake_at

    def _keep_attempt(self, instance_id: str, attempt: RetryAttempt) -> None:
        key = instance_id, attempt.row_id
        row = self._store.checkpoints.get(key)
        if row is None:
            self._store.checkpoints[key] = CheckpointRow(
                id=self._store.next_id(),
                instance_id=instance_id,
                checkpoint_id=attempt.row_id,
                state=b"",
                created_at=attempt.created_at,
                is_retry_attempt=True,
                attempt_number=attempt.attempt_number,
                error_message=attempt.error_message,
            )
        # A checkpoint with such an id is from before these ids were refused: it stays.
        elif row.is_retry_attempt:
            row.created_at, row.error_message = attempt.created_at, attempt.error_message

    def _saved(self, instance_id: str) -> Iterator[CheckpointRow]:
        rows = sorted(self._store.checkpoints.values(), key=lambda row: row.id)
        return (row for row in rows if row.instance_id == instance_id and not row.is_retry_attempt)

    def _entry(self, row: CheckpointRow, largest_state: int) -> CheckpointEntry:
        attempts = [
            other.created_at
            for other in self._store.checkpoints.values()
            if other.is_retry_attempt
            and other.instance_id == row.instance_id
            and other.checkpoint_id.rpartition("::retry::")[0] == row.checkpoint_id
        ]
        return CheckpointEntry(
            id=row.id,
            checkpoint_id=row.checkpoint_id,
            state=row.state if len(row.state) <= largest_state else None,
            created_at=row.created_at,
            failed_attempts=len(attempts),
            last_attempt_at=max(attempts, default=None),
            wake_at=row.wake_at,
        )
