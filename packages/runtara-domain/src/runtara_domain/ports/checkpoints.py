"""The port to stored checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from runtara_domain import values

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


class Checkpoints(Protocol):
    """Checkpoints: each is written once, and then only read."""

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        """
        Save the state unless the id is taken, and move the instance's pointer to it.

        Of concurrent callers, in this process or another, exactly one saves (`is_found` False). The
        others get the saved state, or `is_large` instead: steps of many callers run together, and
        must not hold all their states in memory at once. Saving moves the pointer and
        `last_activity_at`; finding moves neither, so that a replay doesn't move an instance back.
        In both cases an instance that was asleep becomes RUNNING, and `sleep_until` and the wake
        claim are cleared. All of this is one step. An audit row of a retry attempt is no
        checkpoint. An instance that does not admit the caller is left unchanged.

        What precedes `write` is saved before it, in order and each unless its id is taken; the
        outcome does not tell of it. A failure in between may leave only the first ones saved, but
        never one without those before it.
        """
        ...

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        """Read a checkpoint; None if there is none, or if the id is an audit row's."""
        ...

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
        """
        Save the checkpoint with its absolute deadline, and put the instance to sleep.

        The deadline belongs to the checkpoint: the first call's `at` plus the duration (at most
        `values.MAX_SLEEP`). A checkpoint without a deadline gets one now, a saved state stays, and
        saving moves the instance's pointer. The same step then moves the instance. With
        `keep_running` a RUNNING instance stays as it is. If the deadline has passed or a cancel is
        pending, and the sleep is not detached, an instance asleep becomes RUNNING, and others stay
        as they are. Otherwise the instance falls asleep: `sleep_until` becomes the earliest of this
        deadline, `earliest` (of its other held sleeps) and, if it was asleep, its former value; its
        waits are stored; and it is claimed with `claim`, unless another owner's claim is valid or
        the sleep is detached. `last_activity_at` moves.
        """
        ...

    async def record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Store an audit row of a failed attempt under `attempt.row_id`, or overwrite that row.

        Returns the instance's state; None if it is unknown. `last_activity_at` moves.
        """
        ...

    async def page(
        self,
        instance_id: str,
        *,
        after_id: int = 0,
        limit: int = 100,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        """
        Read checkpoints after `after_id` in the order of saving; none of an unknown instance.

        largest_state: the largest state, in bytes, that is returned with its checkpoint.
        """
        ...

    async def count(self, which: CheckpointFilter) -> int:
        """Count an instance's checkpoints."""
        ...

    async def newest(
        self,
        which: CheckpointFilter,
        *,
        offset: int = 0,
        limit: int = 100,
        largest_state: int | None = None,
    ) -> Sequence[CheckpointSummary]:
        """
        Read checkpoints, the newest first.

        largest_state: the largest state, in bytes, that is returned with its checkpoint; None:
        states are not returned.
        """
        ...
