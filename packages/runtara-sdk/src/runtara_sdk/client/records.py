"""What the core answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class InstanceStatus(StrEnum):
    """Where an instance stands; UNKNOWN: there is no such instance."""

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
    The pending signal and values of an instance, each None if there is none.

    `signal` is the one not yet acknowledged, `custom_signal` the payload sent to the checkpoint
    that was named, `custom_signals` the payloads sent to those named besides, by their ids.
    """

    signal: Signal | None = None
    custom_signal: bytes | None = None
    custom_signals: Mapping[str, bytes] = field(default_factory=dict)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class CustomEvent:
    """An event of the workflow's own; `happened_at` is aware, and now unless it is given."""

    subtype: str
    payload: bytes = b""
    happened_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A checkpoint as it stands after the call, and the signal that is pending.

    `found` says that the id was taken: `state` is then the state saved first, not the one brought.
    `signal` is the pending signal, `custom_signal` the payload sent to this checkpoint, if any.
    """

    found: bool
    state: bytes
    signal: Signal | None = None
    custom_signal: bytes | None = None


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """
    A saved checkpoint in a list; times are aware, in UTC.

    `state` is None above 64 KiB: `get_checkpoint` reads it. `wake_at` is when its sleep is over.
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
    The checkpoints saved first, and the signal that is pending if there are any.

    `next_id`: more were saved, behind that one; None: these are all.
    """

    entries: tuple[CheckpointEntry, ...]
    next_id: int | None = None
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """
    The run that begins: its number, and what the instance was created with.

    `run` is None from a server that counts no runs; `input` is None if there is none. `saved` is
    None unless it was asked for, where it is large, and from a server that is too old for it.
    """

    run: int | None = None
    input: bytes | None = None
    saved: FirstPage | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """
    What the core knows of an instance; times are aware, in UTC.

    `error` is how the instance failed, or, with UNKNOWN, that it was not found.
    """

    instance_id: str
    status: InstanceStatus
    checkpoint_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    output: bytes | None = None
    error: str | None = None
