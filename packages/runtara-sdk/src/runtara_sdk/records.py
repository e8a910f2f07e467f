"""What the core answers, as values."""

from dataclasses import dataclass
from datetime import datetime
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
    """What an instance can be told to do."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Signal:
    """What the instance was told and has not yet acknowledged."""

    type: SignalType
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Registration:
    """
    The run that begins: its number, and what the instance was created with.

    `run` is None from a server that counts no runs; `input` is None if there is none.
    """

    run: int | None = None
    input: bytes | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A checkpoint as it stands after the call, and what the instance was told meanwhile.

    `found` tells that the id was taken: `state` is then the state saved first, not the one brought.
    `signal` is the pending signal, `custom_signal` the payload sent to this checkpoint, if any.
    """

    found: bool
    state: bytes
    signal: Signal | None = None
    custom_signal: bytes | None = None


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
