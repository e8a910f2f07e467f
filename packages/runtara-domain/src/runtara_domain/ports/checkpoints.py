"""What the core needs stored about checkpoints."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runtara_domain import values
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
    """Checkpoints: written once, read ever after."""

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        """
        Keep the state unless the id is taken, and move the instance's pointer to it.

        Of concurrent callers, in this process or another, exactly one saves it (`is_found` False);
        the others get the kept state, or `is_large` in its place: steps of many callers run
        together, and must not hold all their states at once. Saving moves the pointer and
        `last_activity_at`; finding moves neither (a replay doesn't take an instance back). An
        instance that was asleep moves to RUNNING, whether it saves or finds: `sleep_until` and the
        wake claim are cleared. All of this is one step. An audit row of a retry attempt is no
        checkpoint. An instance that does not admit the caller is left alone.
        """
        ...

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        """Read one; None if there is none, or if the id names a retry attempt's audit row."""
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
        Keep the checkpoint with its absolute deadline, and put the instance to sleep.

        The deadline belongs to the checkpoint: the first call's `at` plus the duration (at most
        `values.MAX_SLEEP`); a checkpoint that has none gets one now, a state once kept stays, and
        saving moves the instance's pointer. Then, in the same step: `keep_running` and the instance
        RUNNING: nothing is moved; deadline over, or a cancel pending, and not `detach`: an instance
        asleep becomes RUNNING as if it stirred, nothing else is moved; else it becomes asleep,
        `sleep_until` the earliest of this deadline, `earliest` (that of the other sleeps held for
        it) and, if it was asleep, what it was; what it awaits is kept; and it is claimed with
        `claim`, unless another owner's claim runs or the sleep is detached. `last_activity_at`
        moves.
        """
        ...

    async def record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, when: Condition, at: datetime
    ) -> RunState | None:
        """
        Keep an audit row of a failed attempt under `attempt.row_id`; the same again overwrites it.

        The outcome is how the instance stood, None if it is unknown; `last_activity_at` moves.
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
        Read checkpoints in the order they were saved, from behind `after_id`; none if unknown.

        largest_state: bytes of the states that come along.
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
        Read checkpoints, the one saved last first.

        largest_state: bytes of the states that come along; None: none does.
        """
        ...
