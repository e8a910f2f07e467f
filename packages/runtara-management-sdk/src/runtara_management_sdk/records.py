"""Records of an environment's answers; times are aware datetimes, None stands for no value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Runner(StrEnum):
    """How an image becomes a process."""

    OCI = "oci"
    NATIVE = "native"
    WASM = "wasm"
    PYTHON = "python"


class Status(StrEnum):
    """An instance's status."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the instance has ended; only a retry changes such a status."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Scope(StrEnum):
    """The kind of thing that a limit or a hold covers."""

    TENANT = "tenant"
    IMAGE_NAME = "image_name"
    WORKFLOW = "workflow"
    QUEUE = "queue"


class Granularity(StrEnum):
    """The length of a bucket of metrics."""

    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Health:
    """The health of an environment. `open_launches`: how many launches of it are open."""

    is_healthy: bool
    version: str
    uptime: timedelta
    open_launches: int


@dataclass(frozen=True, slots=True)
class RegisteredImage:
    """The image that has the registered bytes; `created`: False if it was registered before."""

    image_id: str
    version: int | None = None
    created: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A version of workflow code. `problem`: why it can't be run; None if no problem is known."""

    image_id: str
    tenant_id: str
    name: str
    runner: Runner
    created_at: datetime
    description: str | None = None
    version: int | None = None
    is_current: bool | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    One thing that an instance waits for.

    kind: `promise`, `sleep`, `child`, `retry`, `decision` or `queue`. until: the deadline, if there
    is one; for `queue`, when the queue's rate allows the next start. reason: for `retry`, the last
    attempt's error; for `queue`, the bound that is reached.
    """

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSummary:
    """An instance in a list. `next_at`: when it next goes on by itself; None if it won't."""

    instance_id: str
    tenant_id: str
    status: Status
    created_at: datetime
    image_id: str | None = None
    workflow: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    has_error: bool = False
    error: str | None = None
    waiting_for: tuple[Waiting, ...] = ()
    next_at: datetime | None = None
    is_blocked: bool = False
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """
    An instance with all its details.

    not_launched: why the instance is due but not launched; None if it is launched, or not due.
    not_launched_kind: `hold`, `limit`, `image`, `environment` (the answering environment can't run
    the image) or `room` (its placement has no room for the process); None from an older
    environment. attempt, max_attempts: values of the stored row for programs of the Rust server;
    Runtara in Python doesn't use them. env: values of names that look secret are masked. progress:
    the last progress that the instance reported, as `report_of` returns it. crashes: those in a row
    without progress. stderr: the end of the newest process's output.
    """

    instance_id: str
    tenant_id: str
    status: Status
    created_at: datetime
    image_id: str | None = None
    image_name: str | None = None
    image_version: int | None = None
    workflow: str | None = None
    code_version: str | None = None
    run: int | None = None
    checkpoint_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_activity_at: datetime | None = None
    input: bytes | None = None
    output: bytes | None = None
    error: str | None = None
    stderr: str | None = None
    is_blocked: bool = False
    waiting_for: tuple[Waiting, ...] = ()
    progress: object = None
    launches: int | None = None
    crashes: int | None = None
    next_launch_at: datetime | None = None
    wake_at: datetime | None = None
    not_launched: str | None = None
    not_launched_kind: str | None = None
    queue: str | None = None
    priority: int | None = None
    parent_id: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    attempt: int | None = None
    max_attempts: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def report_of(progress: bytes | None) -> object:
    """Return reported progress as its JSON value; as bytes if it is no JSON."""
    try:
        return None if progress is None else json.loads(progress)
    except ValueError:
        return progress


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Selects instances that match every field; a field that is None matches all."""

    tenant_id: str | None = None
    status: Status | None = None
    workflow: str | None = None
    image_id: str | None = None
    image_name_prefix: str | None = None
    error_contains: str | None = None
    is_blocked: bool | None = None
    queue: str | None = None
    parent_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The started instance; `created`: False if an earlier start made it."""

    instance_id: str
    created: bool = True


@dataclass(frozen=True, slots=True)
class Imported:
    """
    The imported instance, and the image or workflow that it runs.

    created: False if it was imported from the same file before.
    """

    instance_id: str
    created: bool
    image_id: str | None = None
    workflow: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """
    A sent value.

    is_first: False if a value that was sent earlier stands. warning: a hint that the instance does
    not wait for this name; None if there is none.
    """

    is_first: bool = True
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Forked:
    """
    The new instance of a fork, and the number of copied checkpoints.

    repeated_checkpoint_ids: the source's recorded calls that the new instance makes again.
    """

    instance_id: str
    copied: int
    repeated_checkpoint_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved checkpoint; state: None if it was not asked for or is too large."""

    checkpoint_id: str
    created_at: datetime
    size_bytes: int
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an instance's history."""

    id: int
    type: str
    created_at: datetime
    subtype: str | None = None
    checkpoint_id: str | None = None
    payload: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """
    A process that was started for an instance.

    number: counted from 1 for each instance. ended_at, cause, verdict: None while the launch is
    open. stderr: the last 64 KiB of the process's output.
    """

    launch_id: str
    instance_id: str
    environment_id: str
    number: int
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run: int | None = None
    image_id: str | None = None
    runner: str | None = None
    placement: str | None = None
    cause: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """
    An environment or a worker with its lease.

    kind: `environment` or `worker`. clock_offset: how far its clock is ahead of the database's.
    """

    environment_id: str
    kind: str
    machine: str
    version: str
    capacity: int
    open_launches: int
    started_at: datetime
    lease_until: datetime
    clock_offset: timedelta = timedelta(0)
    is_draining: bool = False
    workflows: tuple[str, ...] = ()
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """
    A hold: no covered instance is launched.

    tenant_id: empty for a name of every tenant. name: the image name or workflow; empty for a
    tenant.
    """

    scope: Scope
    tenant_id: str
    name: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """
    A queue's bounds, and the numbers of its waiting and running instances.

    concurrency: the most open launches; concurrency_per_worker: those of one environment or worker.
    rate: the most launches begun in each `rate_period`. A bound that is None does not apply.
    """

    tenant_id: str
    name: str
    concurrency: int | None = None
    concurrency_per_worker: int | None = None
    rate: int | None = None
    rate_period: timedelta | None = None
    waiting: int = 0
    running: int = 0
    oldest_waiting_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """The most open launches of a tenant or an image name, and how many are open now."""

    scope: Scope
    tenant_id: str
    name: str
    max_concurrent: int
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsBucket:
    """Counts and durations of the instances that finished within one hour or day."""

    begins_at: datetime
    invocations: int
    successes: int
    failures: int
    cancelled: int
    avg_duration_ms: float | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    avg_memory_bytes: int | None = None
    max_memory_bytes: int | None = None
    success_rate_percent: float | None = None
