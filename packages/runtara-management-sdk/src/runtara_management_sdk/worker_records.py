"""Records of the workers' protocol."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta

from runtara_domain.record import record


@record
class Lease:
    """
    A worker's lease.

    good_for: how long the lease is valid, counted from the answer. renew_every: the time between
    renewals. open_launches: the instance ids of the worker's open launches, by launch id. has_core:
    the environment has a core of its own, and hears of an end without a report.
    """

    good_for: timedelta
    renew_every: timedelta
    open_launches: Mapping[str, str] = field(default_factory=dict)
    has_core: bool = False


@record(kw_only=True)
class Assignment:
    """
    A launch that a worker has claimed.

    timeout: the longest time that the launch may take; None for no bound. crashes: the number of
    crashes in a row without progress. is_suspect: the instance may have killed its process, so it
    gets a process of its own.
    """

    launch_id: str
    instance_id: str
    tenant_id: str
    workflow: str
    crashes: int = 0
    timeout: timedelta | None = None
    is_suspect: bool = False


@record
class Stop:
    """An operator's stop of a launch: the run must end within `left`."""

    launch_id: str
    left: timedelta
    reason: str


@record
class Renewed:
    """
    A renewed lease.

    closed: launches that are no longer this worker's; their runs must end. is_draining: the worker
    must claim nothing more.
    """

    good_for: timedelta
    closed: frozenset[str] = frozenset()
    stops: tuple[Stop, ...] = ()
    is_draining: bool = False


@record
class Ended:
    """
    The end of a launch.

    cause: a cause from docs/wire.md. exit_code: the exit code of the SDK's command, or None.
    """

    launch_id: str
    cause: str
    exit_code: int | None = None
    exit_signal: int | None = None
    error: str = ""
