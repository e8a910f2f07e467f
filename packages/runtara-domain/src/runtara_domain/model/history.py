"""What is recorded of an instance, as lists show it, and which of it is meant."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from runtara_domain import values
from runtara_domain.record import record


@record
class CheckpointFilter:
    """Selects checkpoints of an instance, from `since` to before `until`; None is no bound."""

    instance_id: str
    checkpoint_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        values.check_storable("instance_id", self.instance_id)
        if self.checkpoint_id is not None:
            values.check_storable("checkpoint_id", self.checkpoint_id)


@record
class CheckpointSummary:
    """A checkpoint with the size of its state; state: None if not requested, or too large."""

    checkpoint_id: str
    created_at: datetime
    size_bytes: int
    state: bytes | None = None


class EventType(StrEnum):
    """The types of stored events; only other programs store `progress` and `heartbeat`."""

    STARTED = "started"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SUSPENDED = "suspended"
    HEARTBEAT = "heartbeat"
    CUSTOM = "custom"


@record
class EventFilter:
    """
    Selects events of an instance; a field that is None matches all.

    since: inclusive. until: exclusive. text: the payload contains its UTF-8 bytes; the payload may
    be binary.
    """

    instance_id: str
    type: EventType | None = None
    subtype: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        values.check_storable("instance_id", self.instance_id)
        if self.subtype is not None:
            values.check_storable("subtype", self.subtype)
        if self.text is not None:
            # A payload may hold NUL.
            values.check_storable("text", self.text.replace("\0", ""))


@record
class StoredEvent:
    """A stored event; later events have larger ids."""

    id: int
    instance_id: str
    type: EventType
    payload: bytes
    created_at: datetime
    checkpoint_id: str | None
    subtype: str | None
