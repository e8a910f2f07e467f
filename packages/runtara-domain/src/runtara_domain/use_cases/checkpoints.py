"""Saving checkpoints, and reading them back."""

from dataclasses import dataclass

from runtara_domain import values
from runtara_domain.activity import Activity
from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Saved
from runtara_domain.ports.checkpoints import Checkpoints
from runtara_domain.ports.clock import Clock
from runtara_domain.status import WORKING
from runtara_domain.use_cases.admission import require_admitted


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Keep a state under a new id, or give back the one kept first."""

    checkpoints: Checkpoints
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, write: CheckpointWrite) -> Saved:
        saved = await self.checkpoints.save(caller, write, when=WORKING, at=self.clock.now())
        require_admitted(caller, saved.before, WORKING, "save a checkpoint")
        if saved.kept is not None:
            self.activity.note(caller)
        return saved


@dataclass(frozen=True, slots=True)
class GetCheckpoint:
    """Read a checkpoint without saving, in any state."""

    checkpoints: Checkpoints
    activity: Activity

    async def __call__(self, *, caller: Caller, checkpoint_id: str) -> Checkpoint | None:
        values.check_id("checkpoint_id", checkpoint_id)
        checkpoint = await self.checkpoints.get(caller.instance_id, checkpoint_id)
        self.activity.note(caller)
        return checkpoint
