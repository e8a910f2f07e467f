"""The core's answers as records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class InstanceStatus(StrEnum):
    """The status of an instance; UNKNOWN: there is no such instance."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SignalType(StrEnum):
    """The signals that an operator can send to an instance."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that the instance has not yet acknowledged."""

    type: SignalType
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Pending:
    """
    The pending signal and values of an instance; a signal or value that is missing is None.

    `signal` is the signal not yet acknowledged. `custom_signal` is the payload sent to the
    checkpoint asked for, `custom_signals` the payloads sent to the others (`also`), by their ids.
    """

    signal: Signal | None = None
    custom_signal: bytes | None = None
    custom_signals: Mapping[str, bytes] = field(default_factory=dict)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CustomEvent:
    """An event that the workflow defines; `happened_at` is an aware time, by default now."""

    subtype: str
    payload: bytes = b""
    happened_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A checkpoint as it is saved after the call, and the pending signal.

    `found`: the id was taken, and `state` is the state saved first, not the caller's. `signal` is
    the pending signal, `custom_signal` the payload sent to this checkpoint; None: there is none.
    """

    found: bool
    state: bytes
    signal: Signal | None = None
    custom_signal: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewChild:
    """A child to start: the instance id, the workflow that it runs, and its input."""

    id: str
    workflow: str
    input: bytes | None = None


@dataclass(frozen=True, slots=True)
class ChildrenStarted:
    """
    Children that were started together, with checkpoints.

    `created`: for each child whether this call created it. `states`: for each checkpoint the state
    that is saved now; None: `get_checkpoint` reads it. `signal`: the pending signal.
    """

    created: tuple[bool, ...]
    states: tuple[bytes | None, ...]
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """
    A saved checkpoint in a list; times are aware, in UTC.

    `state` is None if it is larger than 64 KiB: `get_checkpoint` reads it. `wake_at` is the
    deadline of a durable sleep.
    """

    checkpoint_id: str
    state: bytes | None
    created_at: datetime
    failed_attempts: int = 0
    last_attempt_at: datetime | None = None
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FirstPage:
    """
    The checkpoints saved first, and the pending signal.

    `next_id`: more checkpoints follow the one with this number; None: these are all.
    `knows_preceding`: the server takes `preceding` with a checkpoint; one that does not returns a
    pending signal only if there are checkpoints. `knows_together`: it takes many.
    """

    entries: tuple[CheckpointEntry, ...]
    next_id: int | None = None
    signal: Signal | None = None
    knows_preceding: bool = False
    knows_together: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """
    The run that begins: its number, and what the instance was created with.

    `run` is None from a server that counts no runs; `input` is None if there is none. `saved` is
    None if it was not asked for, if it is large, or from a server that does not know it.
    `knows_children`: the server starts children together; False if `saved` was not asked for.
    """

    run: int | None = None
    input: bytes | None = None
    saved: FirstPage | None = None
    knows_children: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """
    The core's record of an instance; times are aware, in UTC.

    `error` says how the instance failed, or, with UNKNOWN, that it was not found.
    """

    instance_id: str
    status: InstanceStatus
    checkpoint_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    output: bytes | None = None
    error: str | None = None
