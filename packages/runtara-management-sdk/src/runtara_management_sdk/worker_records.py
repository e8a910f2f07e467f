"""What workers are told, and what they tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Lease:
    """
    A worker's lease: for how long it is good from when it was answered, and when to renew.

    open_launches: the instances of the worker's launches that are open, by launch id.
    """

    good_for: timedelta
    renew_every: timedelta
    open_launches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """
    A launch that a worker has claimed.

    `timeout`: bounds the launch. `crashes`: in a row, without progress. `is_suspect`: the instance
    may have killed its process, and gets one of its own.
    """

    launch_id: str
    instance_id: str
    tenant_id: str
    workflow: str
    crashes: int = 0
    timeout: timedelta | None = None
    is_suspect: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """An operator stops a launch: its run is to end within `left`."""

    launch_id: str
    left: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """A renewed lease. closed: launches the worker has no more; is_draining: claim no more."""

    good_for: timedelta
    closed: frozenset[str] = frozenset()
    stops: tuple[Stop, ...] = ()
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a launch ended. cause: one of those of docs/wire.md; exit_code: the SDK's command's."""

    launch_id: str
    cause: str
    exit_code: int | None = None
    exit_signal: int | None = None
    error: str = ""
