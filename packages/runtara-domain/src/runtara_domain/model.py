"""The records of the core: what callers hand in (checked on construction), and what is stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.status import Condition, InstanceStatus, SignalType, State


@dataclass(frozen=True, slots=True)
class Caller:
    """
    An instance that asks for something; run is the one its connection speaks for, None if it never
    registered.
    """

    instance_id: str
    run: int | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an instance stood when a step found it, before the step moved it."""

    state: State
    run: int

    def supersedes(self, caller: Caller) -> bool:
        """Whether a newer run than the caller's has registered."""
        return caller.run is not None and caller.run < self.run

    def admits(self, caller: Caller, when: Condition) -> bool:
        """Whether a step of this caller applies."""
        return self.state in when and not self.supersedes(caller)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as it is stored; `last_activity_at` may lag by a second."""

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
    output: bytes | None
    error: str | None

    @property
    def state(self) -> State:
        """The status, with the two faces of SUSPENDED told apart."""
        return State.of(self.status, self.sleep_until)


@dataclass(frozen=True, slots=True)
class Registration:
    """
    A process that begins to run an instance, or goes on with a run after it lost its connection.

    checkpoint_id: must exist, if given. continue_run: the run to go on with; None begins a new one.
    """

    instance_id: str
    tenant_id: str
    checkpoint_id: str | None = None
    continue_run: int | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_id("tenant_id", self.tenant_id)
        if self.checkpoint_id is not None:
            values.check_id("checkpoint_id", self.checkpoint_id)
        if self.continue_run is not None:
            values.check_range("continue_run", self.continue_run, 1, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Registered:
    """
    What a registration found, and did if it applies.

    before: None if the instance was unknown. tenant_id: whose it is. checkpoint_exists: true too
    when none was named. run: the instance's newest run after the step. input: what it was created
    with, if anything.
    """

    before: Standing | None
    tenant_id: str
    checkpoint_exists: bool
    run: int
    input: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that waits to be acknowledged."""

    type: SignalType
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class CheckpointWrite:
    """A state to keep under a new id."""

    checkpoint_id: str
    state: bytes

    def __post_init__(self) -> None:
        values.check_new_checkpoint_id("checkpoint_id", self.checkpoint_id)
        values.check_bytes("state", self.state)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state that was kept; wake_at is the deadline if a sleep saved it."""

    checkpoint_id: str
    state: bytes
    created_at: datetime
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """
    What saving a checkpoint found, and did if the instance admits it.

    before: None if the instance is unknown. kept: the state of the call that was first, None if
    this one was. signal, custom_signal: pending for the instance; sent for this checkpoint id.
    """

    before: Standing | None
    kept: bytes | None = None
    signal: Signal | None = None
    custom_signal: bytes | None = None


class EventType(StrEnum):
    """The events that are stored."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    SUSPENDED = "suspended"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Event:
    """Something an instance said; created_at is when it says it happened."""

    type: EventType
    payload: bytes
    created_at: datetime
    checkpoint_id: str | None = None
    subtype: str | None = None

    def __post_init__(self) -> None:
        values.check_bytes("payload", self.payload)
        if self.checkpoint_id is not None:
            values.check_id("checkpoint_id", self.checkpoint_id)
        if self.subtype is not None:
            values.check_text("subtype", self.subtype)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an instance ended of itself: COMPLETED with an output, or FAILED with an error."""

    state: State
    output: bytes | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if self.state not in (State.COMPLETED, State.FAILED):
            raise InvalidValue(f"state: takes completed or failed, got {self.state}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What recording an event found, and did if the instance admits it.

    before: None if the instance is unknown. repeated: the instance ended just so before, nothing
    was done. after: where the instance is now.
    """

    before: Standing | None
    repeated: bool = False
    after: State | None = None
