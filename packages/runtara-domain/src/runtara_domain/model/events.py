"""Records of events."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.caller import Caller, RunState
from runtara_domain.model.instances import Ending
from runtara_domain.status import Condition, State


class EventType(StrEnum):
    """The events that are stored; `progress` and `heartbeat` only by other programs."""

    STARTED = "started"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SUSPENDED = "suspended"
    HEARTBEAT = "heartbeat"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something an instance said; created_at is when it says it happened.

    With `suspended`: blocked_reason is why its code can't go on with this history, None if it can;
    waits is what it awaits, as a JSON list. With `failed`: failure is what programs read of it.
    """

    type: EventType
    payload: bytes
    created_at: datetime
    checkpoint_id: str | None = None
    subtype: str | None = None
    blocked_reason: str | None = None
    waits: str | None = None
    failure: bytes | None = None

    def __post_init__(self) -> None:
        values.check_bytes("payload", self.payload)
        if self.checkpoint_id is not None:
            values.check_id("checkpoint_id", self.checkpoint_id)
        if self.subtype is not None:
            values.check_text("subtype", self.subtype)
        if self.blocked_reason is not None:
            self._require("blocked_reason", EventType.SUSPENDED)
            values.check_note("blocked_reason", self.blocked_reason)
        if self.waits is not None:
            self._require("waits", EventType.SUSPENDED)
            values.check_waits("waits", self.waits)
        if self.failure is not None:
            self._require("failure", EventType.FAILED)
            values.check_bytes("failure", self.failure)

    def _require(self, field: str, kind: EventType) -> None:
        if self.type is not kind:
            raise InvalidValue(f"{field}: belongs to the event {kind}, got it with {self.type}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What recording an event found, and did if the instance admits it.

    before: None if the instance is unknown. repeated: the instance ended just so before, nothing
    was done. after: where the instance is now.
    """

    before: RunState | None
    repeated: bool = False
    after: State | None = None


@dataclass(frozen=True, slots=True)
class EventStep:
    """
    One event of a batch, with what the core lays down for it.

    when: the states it is kept in; `suspended` goes by `events.suspend` instead. ending: how
    the instance ends with it, if it does.
    """

    caller: Caller
    event: Event
    when: Condition
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was stored; ids grow in the order of storing."""

    id: int
    instance_id: str
    type: EventType
    payload: bytes
    created_at: datetime
    checkpoint_id: str | None
    subtype: str | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """
    Which events of an instance are meant; None means any.

    since, until: from the one to before the other. text: contained in the payload as UTF-8 bytes,
    in any payload, binary or not.
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
