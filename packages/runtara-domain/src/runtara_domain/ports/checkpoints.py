"""What the core needs stored about checkpoints."""

from datetime import datetime
from typing import Protocol

from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Saved
from runtara_domain.status import Condition


class Checkpoints(Protocol):
    """Checkpoints: written once, read ever after."""

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        """
        Keep the state unless the id is taken, and move the instance's pointer to it.

        Of concurrent callers, in this process or another, exactly one gets `kept` None; the others
        get the state it kept. Saving moves the pointer and `last_activity_at`; finding moves
        neither (a replay doesn't take an instance back). An instance that was asleep moves to
        RUNNING, whether it saves or finds: `sleep_until` and the wake claim are cleared. All of
        this is one step. An audit row of a retry attempt is no checkpoint. An instance that does
        not admit the caller is left alone.
        """
        ...

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        """Read one; None if there is none, or if the id names a retry attempt's audit row."""
        ...
