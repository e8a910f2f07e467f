"""Records of checkpoints."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.caller import RunState
from runtara_domain.model.signals import Signal
from runtara_domain.record import record
from runtara_domain.status import State


@record
class CheckpointWrite:
    """
    A state to save under a new checkpoint id.

    preceding: another one, with another id, which must be saved before it.
    """

    checkpoint_id: str
    state: bytes
    preceding: "CheckpointWrite | None" = None

    @classmethod
    def together(cls, states: Sequence[tuple[str, bytes]]) -> "CheckpointWrite":
        """
        Build the write of these checkpoint ids and states, in their order.

        Raises InvalidValue for more than `values.MAX_PRECEDING` before the last.
        """
        first, *others = states
        if len(others) > values.MAX_PRECEDING:
            raise InvalidValue(
                f"preceding: takes at most {values.MAX_PRECEDING} checkpoints, got {len(others)}"
            )
        write = cls(*first)
        for checkpoint_id, state in others:
            write = cls(checkpoint_id, state, write)
        return write

    @property
    def in_turn(self) -> "tuple[CheckpointWrite, ...]":
        """The writes in their order."""
        found = [self]
        while (earlier := found[-1].preceding) is not None:
            found.append(earlier)
        return tuple(reversed(found))

    @property
    def size(self) -> int:
        """The bytes of the states."""
        return sum(len(one.state) for one in self.in_turn)

    def __post_init__(self) -> None:
        values.check_new_checkpoint_id("checkpoint_id", self.checkpoint_id)
        values.check_bytes("state", self.state)
        if self.checkpoint_id in [one.checkpoint_id for one in self.in_turn[:-1]]:
            raise InvalidValue(
                f"preceding: takes a checkpoint with another id, got {self.checkpoint_id!r} again"
            )


@record
class Checkpoint:
    """A saved state; wake_at is the deadline if a sleep saved it."""

    checkpoint_id: str
    state: bytes
    created_at: datetime
    wake_at: datetime | None = None


@record
class Saved:
    """
    The outcome of saving a checkpoint.

    before: the instance's state before the step; None if it is unknown. kept: the state that an
    earlier call saved under this id; None if this call saved its own. is_large: an earlier call
    saved a state of over `values.MAX_FOUND_STATE_BYTES`, which must be read separately; kept is
    None then. signal: the instance's pending signal. custom_signal: the value sent for this id.
    """

    before: RunState | None
    kept: bytes | None = None
    signal: Signal | None = None
    custom_signal: bytes | None = None
    is_large: bool = False

    @property
    def is_found(self) -> bool:
        """Whether an earlier call has saved a state under this id."""
        return self.is_large or self.kept is not None


@record
class Sleep:
    """
    A durable sleep to begin or to continue.

    keep_running: the deadline is stored, but the instance stays RUNNING. detach: the process is
    about to exit, so the instance falls asleep even if the deadline has passed. waits: the
    instance's waits during the sleep, as a JSON list.
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


@record
class Slept:
    """
    The outcome of a sleep.

    before: the instance's state before the step; None if it is unknown. wake_at: the checkpoint's
    deadline. signal: the instance's pending signal. after: the instance's state after the step.
    """

    before: RunState | None
    wake_at: datetime | None = None
    signal: Signal | None = None
    after: State | None = None


@record
class RetryAttempt:
    """A failed attempt at a step that will be tried again; attempts are counted from 1."""

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
        """The checkpoint id of the attempt's audit row."""
        return f"{self.checkpoint_id}::retry::{self.attempt_number}"


@record
class CheckpointEntry:
    """
    A checkpoint in a list; later checkpoints have larger ids.

    state: None if it is over 64 KiB. failed_attempts, last_attempt_at: the number of retry attempts
    recorded for its checkpoint id, and the time of the newest.
    """

    id: int
    checkpoint_id: str
    state: bytes | None
    created_at: datetime
    failed_attempts: int
    last_attempt_at: datetime | None
    wake_at: datetime | None


@record
class CheckpointPage:
    """A page of a list. next_id: the `after_id` of the next page; None on the last page."""

    entries: tuple[CheckpointEntry, ...]
    next_id: int | None

    @classmethod
    def of(cls, found: Sequence[CheckpointEntry], limit: int) -> Self:
        """Build a page of this many entries; it is the last one if no more are found."""
        entries = tuple(found[:limit])
        return cls(entries, entries[-1].id if len(found) > limit else None)
