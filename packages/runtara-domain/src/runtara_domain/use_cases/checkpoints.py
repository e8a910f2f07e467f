"""Saving checkpoints, and reading them back."""

from dataclasses import replace

from runtara_domain import values
from runtara_domain.activity import Activity
from runtara_domain.error import InstanceNotFound
from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointPage,
    CheckpointWrite,
    RetryAttempt,
    Saved,
)
from runtara_domain.ports.checkpoints import Checkpoints
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.instances import Instances
from runtara_domain.record import record
from runtara_domain.status import OPEN, WORKING
from runtara_domain.use_cases.admission import require_admitted

MAX_PAGE = 1000
DEFAULT_PAGE = 100


@record
class SaveCheckpoint:
    """Save a state under a new id, or return the state that was saved first."""

    checkpoints: Checkpoints
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, write: CheckpointWrite) -> Saved:
        saved = await self.checkpoints.save(caller, write, when=WORKING, at=self.clock.now())
        require_admitted(caller, saved.before, WORKING, "save a checkpoint")
        if saved.is_found:
            self.activity.note(caller)
        return saved


@record
class GetCheckpoint:
    """
    Read a checkpoint without saving, in any state; None if the instance has none of this id.

    Raises InstanceNotFound.
    """

    checkpoints: Checkpoints
    instances: Instances
    activity: Activity

    async def __call__(self, *, caller: Caller, checkpoint_id: str) -> Checkpoint | None:
        values.check_id("checkpoint_id", checkpoint_id)
        checkpoint = await self.checkpoints.get(caller.instance_id, checkpoint_id)
        if checkpoint is None and await self.instances.run_state(caller.instance_id) is None:
            raise InstanceNotFound(caller.instance_id)
        self.activity.note(caller)
        return checkpoint


@record
class ListCheckpoints:
    """Read an instance's checkpoints a page at a time, in the order of saving."""

    checkpoints: Checkpoints
    activity: Activity

    async def __call__(
        self,
        *,
        caller: Caller,
        after_id: int,
        limit: int,
        largest_state: int = values.MAX_LISTED_STATE_BYTES,
    ) -> CheckpointPage:
        values.check_range("after_id", after_id, 0, values.MAX_INTEGER)
        values.check_range("limit", limit, 0, MAX_PAGE)
        page = await self.checkpoints.page(
            caller.instance_id,
            after_id=after_id,
            limit=limit or DEFAULT_PAGE,
            largest_state=largest_state,
        )
        self.activity.note(caller)
        return page


@record
class RecordRetryAttempt:
    """Store the audit row of a failed attempt."""

    checkpoints: Checkpoints
    clock: Clock

    async def __call__(self, *, caller: Caller, attempt: RetryAttempt) -> None:
        now = self.clock.now()
        attempt = replace(attempt, created_at=values.clamp_timestamp(attempt.created_at, now))
        before = await self.checkpoints.record_retry(caller, attempt, when=OPEN, at=now)
        require_admitted(caller, before, OPEN, "record a retry attempt")
