"""Records of checkpoints."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from runtara_domain import values
from runtara_domain.model.caller import RunState
from runtara_domain.model.signals import Signal
from runtara_domain.status import State


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
    is_large: there is a state of a call that was first, but it is over
    `values.MAX_FOUND_STATE_BYTES` and must be read by itself; kept is None.
    """

    before: RunState | None
    kept: bytes | None = None
    signal: Signal | None = None
    custom_signal: bytes | None = None
    is_large: bool = False

    @property
    def is_found(self) -> bool:
        """Whether another call was first."""
        return self.is_large or self.kept is not None


@dataclass(frozen=True, slots=True)
class Sleep:
    """
    A durable sleep to begin, or to go on with.

    keep_running: the deadline is kept, but the instance is not put to sleep by it. detach: the
    process is about to leave, so that the instance falls asleep even if the sleep is over. waits:
    what the instance awaits while it sleeps, as a JSON list.
    """

    checkpoint_id: str
    state: bytes
    duration: timedelta
    keep_running: bool = False
    detach: bool = False
    waits: str | None = None

    def __post_init__(self) -> None:
        values.check_new_checkpoint_id("checkpoint_id", self.checkpoint_id)
        values.check_bytes("state", self.state)
        if self.waits is not None:
            values.check_waits("waits", self.waits)


@dataclass(frozen=True, slots=True)
class Slept:
    """
    What a sleep found, and did if the instance admits it.

    before: None if the instance is unknown. wake_at: the checkpoint's deadline. signal: pending for
    the instance. after: the state it is in now.
    """

    before: RunState | None
    wake_at: datetime | None = None
    signal: Signal | None = None
    after: State | None = None


@dataclass(frozen=True, slots=True)
class RetryAttempt:
    """An attempt at a step that failed and will be made again; counted from 1."""

    checkpoint_id: str
    attempt_number: int
    created_at: datetime
    error_message: str | None = None

    def __post_init__(self) -> None:
        values.check_new_checkpoint_id("checkpoint_id", self.checkpoint_id)
        values.check_range("attempt_number", self.attempt_number, 1, values.MAX_ATTEMPT)
        if self.error_message is not None:
            values.check_storable("error_message", self.error_message)

    @property
    def row_id(self) -> str:
        """The checkpoint id of its audit row."""
        return f"{self.checkpoint_id}::retry::{self.attempt_number}"


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """
    A checkpoint in a list; ids grow in the order of saving.

    state: None if it is over 64 KiB. failed_attempts, last_attempt_at: the retry attempts recorded
    for its id, and the time of the newest.
    """

    id: int
    checkpoint_id: str
    state: bytes | None
    created_at: datetime
    failed_attempts: int
    last_attempt_at: datetime | None
    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class CheckpointFilter:
    """Which checkpoints of an instance are meant, from `since` to before `until`; None: any."""

    instance_id: str
    checkpoint_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        values.check_storable("instance_id", self.instance_id)
        if self.checkpoint_id is not None:
            values.check_storable("checkpoint_id", self.checkpoint_id)


@dataclass(frozen=True, slots=True)
class CheckpointSummary:
    """A checkpoint with the size of its state; state: None unless it was asked for, and small."""

    checkpoint_id: str
    created_at: datetime
    size_bytes: int
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class CheckpointPage:
    """A part of a list. next_id: what to ask on from, None at the end."""

    entries: tuple[CheckpointEntry, ...]
    next_id: int | None
