"""What an environment tells, as records; times are aware datetimes, None where there is none."""

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
    """How an instance stands."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether an instance stays so unless it is retried."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Scope(StrEnum):
    """What a limit or a hold covers."""

    TENANT = "tenant"
    IMAGE_NAME = "image_name"
    WORKFLOW = "workflow"
    QUEUE = "queue"


class Granularity(StrEnum):
    """How long a bucket of metrics is."""

    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Health:
    """An environment that answers. `open_launches`: of this environment."""

    is_healthy: bool
    version: str
    uptime: timedelta
    open_launches: int


@dataclass(frozen=True, slots=True)
class RegisteredImage:
    """The version of a name that holds the bytes; `created`: False if it was there before."""

    image_id: str
    version: int | None = None
    created: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A version of workflow code. `problem`: why it can't be run, None while nothing is known."""

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
    """What an instance waits for, since when and until when; `reason`: why a step is retried."""

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSummary:
    """An instance as lists show it. `next_at`: when something happens by itself."""

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
    All that is known of an instance.

    not_launched: why it is not launched though it is due, None if it is or isn't due;
    not_launched_kind: `hold`, `limit`, `image`, `environment` (the one asked can't run its image)
    or `room` (for its process, where it is to run), None of an older environment. attempt,
    max_attempts: what the instance's row holds, for programs of the original; nothing of ours
    counts by them. env: values whose names look secret are masked. progress: what it reported last,
    as `report_of` reads it.
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
    """Read what an instance has reported: the JSON value, or the bytes where they are none."""
    try:
        return None if progress is None else json.loads(progress)
    except ValueError:
        return progress


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances are meant; None means any."""

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
    """`created`: False if the same start had been made before."""

    instance_id: str
    created: bool = True


@dataclass(frozen=True, slots=True)
class Imported:
    """`created`: False if it had been imported from the same file. image_id, workflow: it runs."""

    instance_id: str
    created: bool
    image_id: str | None = None
    workflow: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """`is_first`: a value sent before stands otherwise. `warning`: nothing may wait for it."""

    is_first: bool = True
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Forked:
    """A copy: how many checkpoints it has, and which recorded steps it makes again."""

    instance_id: str
    copied: int
    repeated_checkpoint_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved checkpoint; state: its bytes, None unless they were asked for and are few."""

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
    """A process started for an instance; `ended_at`, `cause`, `verdict`: None while it is open."""

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
    """An environment or a worker with its lease; `clock_offset`: how far its clock is ahead."""

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
    """Nothing that it covers is launched; an empty tenant covers the name in every tenant."""

    scope: Scope
    tenant_id: str
    name: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue's bounds, None where there is none, and what waits and runs."""

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
    """How many launches of a tenant or an image name may be open at once, and how many are."""

    scope: Scope
    tenant_id: str
    name: str
    max_concurrent: int
    running: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsBucket:
    """The instances that finished within an hour or a day; durations are milliseconds."""

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
