"""How messages become records of holds, queues and metrics."""

from datetime import timedelta

from runtara_management_sdk import reading
from runtara_management_sdk.operator_records import (
    Granularity,
    Hold,
    Limit,
    MetricsBucket,
    Queue,
    Scope,
)
from runtara_protocol.pb import environment_pb2 as pb

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
_SCOPE_OF: dict[int, Scope] = {number: word for word, number in SCOPES.items()}


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
