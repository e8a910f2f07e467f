"""Records of environments as messages of the management protocol, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtara_domain.error import InvalidValue
from runtara_domain.model.waits import awaited
from runtara_domain.status import FINAL, InstanceStatus, SignalType
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_domain.model import EventType, StoredEvent
    from runtara_domain.model.instance_lists import ListedInstance
    from runtara_domain.model.limits import Hold, LimitUse, Scope
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_environments import Environment
    from runtara_domain.model.stored_images import Image, RunnerType
    from runtara_domain.model.stored_launches import Launch
    from runtara_domain.model.waits import Awaited

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

STATUSES: Mapping[InstanceStatus, pb.InstanceStatus] = MappingProxyType(
    {
        InstanceStatus.PENDING: pb.STATUS_PENDING,
        InstanceStatus.RUNNING: pb.STATUS_RUNNING,
        InstanceStatus.SUSPENDED: pb.STATUS_SUSPENDED,
        InstanceStatus.COMPLETED: pb.STATUS_COMPLETED,
        InstanceStatus.FAILED: pb.STATUS_FAILED,
        InstanceStatus.CANCELLED: pb.STATUS_CANCELLED,
    }
)
FINAL_STATUSES = frozenset(STATUSES[state.status] for state in FINAL)
SIGNALS: Mapping[SignalType, pb.SignalType] = MappingProxyType(
    {
        SignalType.CANCEL: pb.SIGNAL_CANCEL,
        SignalType.PAUSE: pb.SIGNAL_PAUSE,
        SignalType.RESUME: pb.SIGNAL_RESUME,
    }
)

# These words are imported when one is translated: most commands that read show none of them.


@cache
def _runners() -> Mapping[RunnerType, pb.RunnerType]:
    from runtara_domain.model.stored_images import RunnerType

    return {
        RunnerType.OCI: pb.RUNNER_OCI,
        RunnerType.NATIVE: pb.RUNNER_NATIVE,
        RunnerType.WASM: pb.RUNNER_WASM,
        RunnerType.PYTHON: pb.RUNNER_PYTHON,
    }


@cache
def _scopes() -> Mapping[Scope, pb.Scope]:
    from runtara_domain.model.limits import Scope

    return {
        Scope.TENANT: pb.SCOPE_TENANT,
        Scope.IMAGE: pb.SCOPE_IMAGE_NAME,
        Scope.WORKFLOW: pb.SCOPE_WORKFLOW,
        Scope.QUEUE: pb.SCOPE_QUEUE,
    }


def milliseconds(moment: datetime) -> int:
    """Count milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def optional_milliseconds(moment: datetime | None) -> int | None:
    """Count milliseconds since 1970; None stays None."""
    return None if moment is None else milliseconds(moment)


def moment(message: Any, field: str) -> datetime | None:
    """Read an optional time; raises InvalidValue for an impossible one."""
    if not message.HasField(field):
        return None
    number: int = getattr(message, field)
    try:
        return _EPOCH + number * _MILLISECOND
    except OverflowError:
        raise InvalidValue(f"{field}: takes milliseconds since 1970, got {number}") from None


def optional(message: Any, field: str) -> Any:
    """Read an optional field; None if it is absent, and for an empty text."""
    return (getattr(message, field) or None) if message.HasField(field) else None


def required(message: Any, field: str) -> str:
    """Read a text that may not be empty; raises InvalidValue."""
    text: str = getattr(message, field)
    if not text:
        raise InvalidValue(f"{field} is required")
    return text


def limit(message: Any) -> int:
    """Read how many of a list are asked for: 0 or none stands for 100, 1000 is the most."""
    number: int = message.limit or 100
    if number > _MOST:
        raise InvalidValue(f"limit: takes 0 (100) to {_MOST}, got {number}")
    return number


_MOST = 1000


def word(words: Mapping[Any, int], field: str, number: int, names: Any) -> Any:
    """Return the member for an enum's number; raises InvalidValue for an unknown one."""
    for name, value in words.items():
        if value == number:
            return name
    taken = set(words.values())
    known = ", ".join(f"{value} ({name})" for name, value in names.items() if value in taken)
    raise InvalidValue(f"{field}: takes {known}, got {number}")


def runner(number: int) -> RunnerType:
    """Name a runner type."""
    found: RunnerType = word(_runners(), "runner_type", number, pb.RunnerType)
    return found


def scope(number: int) -> Scope:
    """Name a scope."""
    found: Scope = word(_scopes(), "scope", number, pb.Scope)
    return found


def metadata(content: bytes) -> dict[str, object]:
    """Read an image's metadata; raises InvalidValue if it is no JSON object."""
    try:
        document = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"metadata: takes a JSON object: {error}") from error
    if not isinstance(document, dict):
        raise InvalidValue(f"metadata: takes a JSON object, got {type(document).__name__}")
    return document


def image(stored: Image) -> pb.ImageSummary:
    """Describe an image."""
    return pb.ImageSummary(
        image_id=stored.image_id,
        tenant_id=stored.tenant_id,
        name=stored.name,
        description=stored.description,
        runner_type=_runners()[stored.runner_type],
        created_at_ms=milliseconds(stored.created_at),
        version=stored.version,
        sha256=stored.sha256,
        size_bytes=stored.size_bytes,
        is_current=stored.is_current,
        metadata=json.dumps(dict(stored.metadata)).encode() if stored.metadata else None,
        problem=stored.problem,
    )


def waiting(awaits: Iterable[Awaited]) -> list[pb.Waiting]:
    """Describe an instance's wait."""
    return [
        pb.Waiting(
            kind=one.kind,
            name=one.name,
            since_ms=optional_milliseconds(one.since),
            until_ms=optional_milliseconds(one.until),
            reason=one.reason or None,
        )
        for one in awaits
    ]


def listed(one: ListedInstance) -> pb.InstanceSummary:
    """Describe an instance of a list."""
    summary = one.summary
    return pb.InstanceSummary(
        instance_id=summary.instance_id,
        tenant_id=summary.tenant_id,
        image_id=one.image_id or "",
        status=STATUSES[summary.status],
        created_at_ms=milliseconds(summary.created_at),
        started_at_ms=optional_milliseconds(summary.started_at),
        finished_at_ms=optional_milliseconds(summary.finished_at),
        has_error=one.error is not None,
        # An image serves the workflow of its name, unless its metadata names another.
        workflow=summary.workflow or one.image_name,
        error=one.error,
        waiting_for=waiting(awaited(summary.waits)),
        next_ms=optional_milliseconds(one.next_at),
        blocked=summary.blocked_reason is not None,
        queue=one.queue,
    )


def launch(stored: Launch) -> pb.Launch:
    """Describe a launch."""
    return pb.Launch(
        launch_id=stored.launch_id,
        instance_id=stored.instance_id,
        environment_id=stored.environment_id,
        number=stored.number,
        created_at_ms=milliseconds(stored.created_at),
        started_at_ms=optional_milliseconds(stored.started_at),
        ended_at_ms=optional_milliseconds(stored.closed_at),
        run=stored.run,
        cause=stored.cause,
        exit_code=stored.exit_code,
        exit_signal=stored.exit_signal,
        memory_peak_bytes=stored.memory_peak_bytes,
        cpu_usage_usec=stored.cpu_usage_usec,
        stderr=stored.stderr,
        runner=stored.runner,
        placement=stored.placement,
        image_id=stored.image_id,
        verdict=stored.verdict,
    )


def environment(stored: Environment) -> pb.Environment:
    """Describe an environment."""
    return pb.Environment(
        environment_id=stored.environment_id,
        kind=stored.kind,
        machine=stored.machine,
        version=stored.version,
        capacity=stored.capacity,
        open_launches=stored.open_launches,
        lease_until_ms=milliseconds(stored.lease_until),
        clock_offset_ms=stored.clock_offset_ms,
        is_draining=stored.is_draining,
        started_at_ms=milliseconds(stored.started_at),
        workflows=stored.workflows,
        tenant_id=stored.tenant_id,
    )


def hold(stored: Hold) -> pb.Hold:
    """Describe a hold."""
    return pb.Hold(
        scope=_scopes()[stored.scope],
        tenant_id=stored.tenant_id,
        name=stored.name,
        reason=stored.reason,
        created_at_ms=optional_milliseconds(stored.created_at) or 0,
    )


def queue(use: LimitUse) -> pb.Queue:
    """Describe a queue."""
    bounds = use.limit
    period = bounds.rate_period
    return pb.Queue(
        tenant_id=bounds.tenant_id,
        name=bounds.name,
        concurrency=bounds.max_concurrent,
        concurrency_per_worker=bounds.per_environment,
        rate=bounds.rate,
        rate_period_ms=None if period is None else period // _MILLISECOND,
        waiting=use.waiting,
        running=use.running,
        oldest_waiting_ms=optional_milliseconds(use.oldest_waiting_at),
    )


def bounded(use: LimitUse) -> pb.Limit:
    """Describe a limit of a tenant or an image name."""
    return pb.Limit(
        scope=_scopes()[use.limit.scope],
        tenant_id=use.limit.tenant_id,
        name=use.limit.name,
        max_concurrent=use.limit.max_concurrent or 0,
        running=use.running,
    )


def event(stored: StoredEvent) -> pb.EventSummary:
    """Describe an event."""
    return pb.EventSummary(
        id=stored.id,
        instance_id=stored.instance_id,
        event_type=stored.type,
        checkpoint_id=stored.checkpoint_id,
        payload=stored.payload,
        created_at_ms=milliseconds(stored.created_at),
        subtype=stored.subtype,
    )


def event_type(text: str) -> EventType:
    """Name an event's type; raises InvalidValue for an unknown word."""
    from runtara_domain.model import EventType

    if text not in set(EventType):
        raise InvalidValue(f"event_type: takes one of {', '.join(EventType)}, got {text!r}")
    return EventType(text)


def bucket(start: datetime, found: MetricsBucket | None) -> pb.MetricsBucket:
    """Describe an hour or a day, also one in which no instance finished."""
    from runtara_domain.model.metrics import MetricsBucket

    one = found or MetricsBucket(start=start)
    invocations = one.completed + one.failed + one.cancelled
    return pb.MetricsBucket(
        bucket_time_ms=milliseconds(start),
        invocation_count=invocations,
        success_count=one.completed,
        failure_count=one.failed,
        cancelled_count=one.cancelled,
        avg_duration_ms=_span(one.average_duration),
        min_duration_ms=_span(one.shortest),
        max_duration_ms=_span(one.longest),
        avg_memory_bytes=one.average_memory_bytes,
        max_memory_bytes=one.max_memory_bytes,
        success_rate_percent=100 * one.completed / invocations if invocations else None,
    )


def _span(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds() * 1000
