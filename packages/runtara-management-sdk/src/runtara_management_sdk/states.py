"""An instance's status, and what it waits for; times are aware datetimes."""

from datetime import datetime
from enum import StrEnum

from runtara_domain.record import record


class Status(StrEnum):
    """An instance's status."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the instance has ended; only a retry changes such a status."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@record
class Waiting:
    """
    One thing that an instance waits for.

    kind: `promise`, `sleep`, `child`, `retry`, `decision` or `queue`. until: the deadline, if there
    is one; for `queue`, when the queue's rate allows the next start. reason: for `retry`, the last
    attempt's error; for `queue`, the bound that is reached.
    """

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""
