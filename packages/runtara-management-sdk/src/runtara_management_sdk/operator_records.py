"""Records of holds, queues and metrics; times are aware datetimes."""

from datetime import datetime, timedelta
from enum import StrEnum

from runtara_domain.record import record


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


@record
class Health:
    """The health of an environment. `open_launches`: how many launches of it are open."""

    is_healthy: bool
    version: str
    uptime: timedelta
    open_launches: int


@record
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


@record(kw_only=True)
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


@record
class Limit:
    """The most open launches of a tenant or an image name, and how many are open now."""

    scope: Scope
    tenant_id: str
    name: str
    max_concurrent: int
    running: int = 0


@record(kw_only=True)
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
