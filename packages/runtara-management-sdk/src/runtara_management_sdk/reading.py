"""Builds records from messages of the management protocol; maps enums to its numbers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from runtara_management_sdk.records import (
    Environment,
    Event,
    Granularity,
    Hold,
    Image,
    Instance,
    InstanceSummary,
    Launch,
    Limit,
    MetricsBucket,
    Queue,
    Runner,
    Scope,
    Status,
    Waiting,
    report_of,
)
from runtara_protocol.pb import environment_pb2 as pb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RUNNERS = {
    Runner.OCI: pb.RUNNER_OCI,
    Runner.NATIVE: pb.RUNNER_NATIVE,
    Runner.WASM: pb.RUNNER_WASM,
    Runner.PYTHON: pb.RUNNER_PYTHON,
}
STATUSES = {
    Status.UNKNOWN: pb.STATUS_UNKNOWN,
    Status.PENDING: pb.STATUS_PENDING,
    Status.RUNNING: pb.STATUS_RUNNING,
    Status.SUSPENDED: pb.STATUS_SUSPENDED,
    Status.COMPLETED: pb.STATUS_COMPLETED,
    Status.FAILED: pb.STATUS_FAILED,
    Status.CANCELLED: pb.STATUS_CANCELLED,
}
SCOPES = {
    Scope.TENANT: pb.SCOPE_TENANT,
    Scope.IMAGE_NAME: pb.SCOPE_IMAGE_NAME,
    Scope.WORKFLOW: pb.SCOPE_WORKFLOW,
    Scope.QUEUE: pb.SCOPE_QUEUE,
}
GRANULARITIES = {
    Granularity.HOURLY: pb.GRANULARITY_HOURLY,
    Granularity.DAILY: pb.GRANULARITY_DAILY,
}
_RUNNER_OF: dict[int, Runner] = {number: word for word, number in RUNNERS.items()}
_STATUS_OF: dict[int, Status] = {number: word for word, number in STATUSES.items()}
_SCOPE_OF: dict[int, Scope] = {number: word for word, number in SCOPES.items()}


def moment(milliseconds: int) -> datetime:
    """Return milliseconds since 1970 as a datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_milliseconds(when: datetime | None) -> int | None:
    """Return a datetime as milliseconds since 1970; None stays None."""
    return None if when is None else (when - _EPOCH) // timedelta(milliseconds=1)


def field(message: Any, name: str) -> Any:
    """Return an optional field's value; None if it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def time(message: Any, name: str) -> datetime | None:
    """Return an optional time field as a datetime; None if it is absent."""
    return moment(getattr(message, name)) if message.HasField(name) else None


def image(message: pb.ImageSummary) -> Image:
    """Read an image."""
    return Image(
        image_id=message.image_id,
        tenant_id=message.tenant_id,
        name=message.name,
        runner=_RUNNER_OF.get(message.runner_type, Runner.OCI),
        created_at=moment(message.created_at_ms),
        description=field(message, "description"),
        version=field(message, "version"),
        is_current=field(message, "is_current"),
        sha256=field(message, "sha256"),
        size_bytes=field(message, "size_bytes"),
        metadata=json.loads(message.metadata) if message.metadata else {},
        problem=field(message, "problem"),
    )


def waiting(message: pb.Waiting) -> Waiting:
    """Read a wait of an instance."""
    return Waiting(
        message.kind,
        message.name,
        time(message, "since_ms"),
        time(message, "until_ms"),
        message.reason,
    )


def summary(message: pb.InstanceSummary) -> InstanceSummary:
    """Read an instance's summary from a list."""
    return InstanceSummary(
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        status=_STATUS_OF.get(message.status, Status.UNKNOWN),
        created_at=moment(message.created_at_ms),
        image_id=message.image_id or None,
        workflow=field(message, "workflow"),
        started_at=time(message, "started_at_ms"),
        finished_at=time(message, "finished_at_ms"),
        has_error=message.has_error,
        error=field(message, "error"),
        waiting_for=tuple(map(waiting, message.waiting_for)),
        next_at=time(message, "next_ms"),
        is_blocked=message.blocked,
        queue=field(message, "queue"),
    )


def instance(message: pb.GetInstanceStatusResponse) -> Instance:
    """Read an instance."""
    return Instance(
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        status=_STATUS_OF.get(message.status, Status.UNKNOWN),
        created_at=moment(message.created_at_ms),
        image_id=message.image_id or None,
        image_name=message.image_name or None,
        image_version=field(message, "version"),
        workflow=field(message, "workflow"),
        code_version=field(message, "code_version"),
        run=field(message, "run"),
        checkpoint_id=field(message, "checkpoint_id"),
        started_at=time(message, "started_at_ms"),
        finished_at=time(message, "finished_at_ms"),
        last_activity_at=time(message, "heartbeat_at_ms"),
        input=field(message, "input"),
        output=field(message, "output"),
        error=field(message, "error"),
        stderr=field(message, "stderr"),
        is_blocked=message.blocked,
        waiting_for=tuple(map(waiting, message.waiting_for)),
        progress=report_of(field(message, "progress")),
        launches=field(message, "launches"),
        crashes=field(message, "crashes"),
        next_launch_at=time(message, "next_launch_ms"),
        wake_at=time(message, "wake_at_ms"),
        not_launched=field(message, "not_launched"),
        not_launched_kind=field(message, "not_launched_kind"),
        queue=field(message, "queue"),
        priority=field(message, "priority"),
        parent_id=field(message, "parent_id"),
        memory_peak_bytes=field(message, "memory_peak_bytes"),
        cpu_usage_usec=field(message, "cpu_usage_usec"),
        attempt=message.retry_count,
        max_attempts=message.max_retries,
        env=dict(message.env),
    )


def launch(message: pb.Launch) -> Launch:
    """Read a launch."""
    return Launch(
        launch_id=message.launch_id,
        instance_id=message.instance_id,
        environment_id=message.environment_id,
        number=message.number,
        created_at=moment(message.created_at_ms),
        started_at=time(message, "started_at_ms"),
        ended_at=time(message, "ended_at_ms"),
        run=field(message, "run"),
        image_id=field(message, "image_id"),
        runner=field(message, "runner"),
        placement=field(message, "placement"),
        cause=field(message, "cause"),
        exit_code=field(message, "exit_code"),
        exit_signal=field(message, "exit_signal"),
        memory_peak_bytes=field(message, "memory_peak_bytes"),
        cpu_usage_usec=field(message, "cpu_usage_usec"),
        stderr=field(message, "stderr"),
        verdict=field(message, "verdict"),
    )


def event(message: pb.EventSummary) -> Event:
    """Read an event."""
    return Event(
        message.id,
        message.event_type,
        moment(message.created_at_ms),
        field(message, "subtype"),
        field(message, "checkpoint_id"),
        field(message, "payload"),
    )


def environment(message: pb.Environment) -> Environment:
    """Read an environment or a worker."""
    return Environment(
        environment_id=message.environment_id,
        kind=message.kind,
        machine=message.machine,
        version=message.version,
        capacity=message.capacity,
        open_launches=message.open_launches,
        started_at=moment(message.started_at_ms),
        lease_until=moment(message.lease_until_ms),
        clock_offset=timedelta(milliseconds=message.clock_offset_ms),
        is_draining=message.is_draining,
        workflows=tuple(message.workflows),
        tenant_id=field(message, "tenant_id"),
    )


def hold(message: pb.Hold) -> Hold:
    """Read a hold."""
    return Hold(
        _SCOPE_OF[message.scope],
        message.tenant_id,
        message.name,
        message.reason,
        moment(message.created_at_ms),
    )


def queue(message: pb.Queue) -> Queue:
    """Read a queue."""
    period = field(message, "rate_period_ms")
    return Queue(
        tenant_id=message.tenant_id,
        name=message.name,
        concurrency=field(message, "concurrency"),
        concurrency_per_worker=field(message, "concurrency_per_worker"),
        rate=field(message, "rate"),
        rate_period=None if period is None else timedelta(milliseconds=period),
        waiting=message.waiting,
        running=message.running,
        oldest_waiting_at=time(message, "oldest_waiting_ms"),
    )


def limit(message: pb.Limit) -> Limit:
    """Read a limit."""
    return Limit(
        _SCOPE_OF[message.scope],
        message.tenant_id,
        message.name,
        message.max_concurrent,
        message.running,
    )


def bucket(message: pb.MetricsBucket) -> MetricsBucket:
    """Read a bucket of metrics."""
    return MetricsBucket(
        begins_at=moment(message.bucket_time_ms),
        invocations=message.invocation_count,
        successes=message.success_count,
        failures=message.failure_count,
        cancelled=message.cancelled_count,
        avg_duration_ms=field(message, "avg_duration_ms"),
        min_duration_ms=field(message, "min_duration_ms"),
        max_duration_ms=field(message, "max_duration_ms"),
        avg_memory_bytes=field(message, "avg_memory_bytes"),
        max_memory_bytes=field(message, "max_memory_bytes"),
        success_rate_percent=field(message, "success_rate_percent"),
    )
