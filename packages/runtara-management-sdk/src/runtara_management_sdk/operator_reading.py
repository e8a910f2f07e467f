"""How messages become records of images, environments, queues and metrics."""

import json
from datetime import timedelta

from runtara_management_sdk import reading
from runtara_management_sdk.operator_records import (
    Environment,
    Granularity,
    Hold,
    Image,
    Limit,
    MetricsBucket,
    Queue,
    Runner,
    Scope,
)
from runtara_protocol.pb import environment_pb2 as pb

RUNNERS = {
    Runner.OCI: pb.RUNNER_OCI,
    Runner.NATIVE: pb.RUNNER_NATIVE,
    Runner.WASM: pb.RUNNER_WASM,
    Runner.PYTHON: pb.RUNNER_PYTHON,
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
_SCOPE_OF: dict[int, Scope] = {number: word for word, number in SCOPES.items()}


def image(message: pb.ImageSummary) -> Image:
    """Read an image."""
    return Image(
        image_id=message.image_id,
        tenant_id=message.tenant_id,
        name=message.name,
        runner=_RUNNER_OF.get(message.runner_type, Runner.OCI),
        created_at=reading.moment(message.created_at_ms),
        description=reading.field(message, "description"),
        version=reading.field(message, "version"),
        is_current=reading.field(message, "is_current"),
        sha256=reading.field(message, "sha256"),
        size_bytes=reading.field(message, "size_bytes"),
        metadata=json.loads(message.metadata) if message.metadata else {},
        problem=reading.field(message, "problem"),
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
        started_at=reading.moment(message.started_at_ms),
        lease_until=reading.moment(message.lease_until_ms),
        clock_offset=timedelta(milliseconds=message.clock_offset_ms),
        is_draining=message.is_draining,
        workflows=tuple(message.workflows),
        tenant_id=reading.field(message, "tenant_id"),
    )


def hold(message: pb.Hold) -> Hold:
    """Read a hold."""
    return Hold(
        _SCOPE_OF[message.scope],
        message.tenant_id,
        message.name,
        message.reason,
        reading.moment(message.created_at_ms),
    )


def queue(message: pb.Queue) -> Queue:
    """Read a queue."""
    period = reading.field(message, "rate_period_ms")
    return Queue(
        tenant_id=message.tenant_id,
        name=message.name,
        concurrency=reading.field(message, "concurrency"),
        concurrency_per_worker=reading.field(message, "concurrency_per_worker"),
        rate=reading.field(message, "rate"),
        rate_period=None if period is None else timedelta(milliseconds=period),
        waiting=message.waiting,
        running=message.running,
        oldest_waiting_at=reading.time(message, "oldest_waiting_ms"),
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
        begins_at=reading.moment(message.bucket_time_ms),
        invocations=message.invocation_count,
        successes=message.success_count,
        failures=message.failure_count,
        cancelled=message.cancelled_count,
        avg_duration_ms=reading.field(message, "avg_duration_ms"),
        min_duration_ms=reading.field(message, "min_duration_ms"),
        max_duration_ms=reading.field(message, "max_duration_ms"),
        avg_memory_bytes=reading.field(message, "avg_memory_bytes"),
        max_memory_bytes=reading.field(message, "max_memory_bytes"),
        success_rate_percent=reading.field(message, "success_rate_percent"),
    )
