"""Records of images, environments, queues and metrics; times are aware datetimes."""

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
