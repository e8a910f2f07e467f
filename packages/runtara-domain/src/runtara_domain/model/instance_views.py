"""The record of all that operators see of one instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain.model.waits import Awaited, awaited
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold, Limit
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.status import SignalType


@record(kw_only=True)
class InstanceView:
    """
    An instance with all its details.

    image: also a deleted one. launches: their number so far. crashes: in a row without progress.
    next_launch_at: when its back-off or delay ends; None if there is none. env: the variables it
    was started with. wake_at: its deadline. held_by, bounded_by: a hold that covers it, and a limit
    without a free slot; both None if it has an open launch or has ended. queue_wait: its wait for a
    slot in its queue, if it is due. progress: the workflow's last report, None without one.
    attempt, max_attempts: columns of the Rust server.
    """

    instance: Instance
    input: bytes | None = None
    image: Image | None = None
    launches: int = 0
    crashes: int = 0
    next_launch_at: datetime | None = None
    priority: int = 0
    queue: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta | None = None
    stop_at: datetime | None = None
    stop_reason: str | None = None
    pending_signal: SignalType | None = None
    held_by: Hold | None = None
    bounded_by: Limit | None = None
    attempt: int = 1
    max_attempts: int = 3
    progress: bytes | None = None
    queue_wait: Awaited | None = None

    @property
    def awaits(self) -> tuple[Awaited, ...]:
        """The instance's waits: for a slot in its queue, or the waits that its run reported."""
        if self.queue_wait is not None and self.held_by is None:
            return (self.queue_wait,)
        return awaited(self.instance.waits)
