"""Stored instances without their large values."""

from datetime import datetime

from runtara_domain.record import record
from runtara_domain.status import InstanceStatus, State


@record(kw_only=True)
class InstanceSummary:
    """
    An instance without its large values; `last_activity_at` may lag by a second.

    workflow, code_version: given by its creator or its process. parent_id: the instance whose child
    it is. launch_id: its open launch, set by an environment. waits: its waits, as a JSON list.
    blocked_reason: why it is blocked; None if it isn't.
    """

    instance_id: str
    tenant_id: str
    status: InstanceStatus
    run: int
    checkpoint_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    sleep_until: datetime | None
    last_activity_at: datetime | None
    workflow: str | None = None
    code_version: str | None = None
    parent_id: str | None = None
    launch_id: str | None = None
    waits: str | None = None
    blocked_reason: str | None = None

    @property
    def state(self) -> State:
        """The status, with SUSPENDED divided into asleep and paused."""
        return State.of(self.status, self.sleep_until)
