"""Builds records from rows."""

import json
from datetime import timedelta

from runtara_domain.model import Claimed, Instance, InstanceSummary, StoredEvent
from runtara_domain.model.launch_ends import LaunchEnd
from runtara_domain.model.limits import Hold, Limit, Scope
from runtara_domain.model.stored_environments import Environment, EnvironmentKind
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.stored_launches import Launch
from runtara_persistence import stored
from runtara_persistence.memory.rows import (
    EnvironmentRow,
    EventRow,
    HoldRow,
    ImageRow,
    InstanceRow,
    LaunchRow,
    LimitRow,
)


def summary(row: InstanceRow) -> InstanceSummary:
    """Build the summary of an instance for a list."""
    return InstanceSummary(
        instance_id=row.instance_id,
        tenant_id=row.tenant_id,
        status=row.status,
        run=row.run_epoch,
        checkpoint_id=row.checkpoint_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        sleep_until=row.sleep_until,
        last_activity_at=row.last_activity_at,
        workflow=row.workflow,
        code_version=row.code_version,
        parent_id=row.parent_id,
        launch_id=row.launch_id,
        waits=row.waits,
        blocked_reason=row.blocked_reason,
    )


def instance(row: InstanceRow) -> Instance:
    """Build an instance."""
    return Instance(
        instance_id=row.instance_id,
        tenant_id=row.tenant_id,
        status=row.status,
        run=row.run_epoch,
        checkpoint_id=row.checkpoint_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        sleep_until=row.sleep_until,
        last_activity_at=row.last_activity_at,
        workflow=row.workflow,
        code_version=row.code_version,
        parent_id=row.parent_id,
        launch_id=row.launch_id,
        waits=row.waits,
        blocked_reason=row.blocked_reason,
        output=row.output,
        error=row.error,
        stderr=row.stderr,
        memory_peak_bytes=row.memory_peak_bytes,
        cpu_usage_usec=row.cpu_usage_usec,
    )


def claimed(row: InstanceRow) -> Claimed:
    """Build the record of a claimed instance that its claimer needs to launch it."""
    return Claimed(
        instance_id=row.instance_id,
        tenant_id=row.tenant_id,
        run=row.run_epoch,
        checkpoint_id=row.checkpoint_id,
        sleep_until=row.sleep_until,
    )


def stored_event(row: EventRow) -> StoredEvent:
    """Build an event."""
    return StoredEvent(
        id=row.id,
        instance_id=row.instance_id,
        type=row.event_type,
        payload=row.payload or b"",
        created_at=row.created_at,
        checkpoint_id=row.checkpoint_id,
        subtype=row.subtype,
    )


def image(row: ImageRow) -> Image:
    """Build an image."""
    return Image(
        image_id=row.image_id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        runner_type=RunnerType.of(row.runner_type),
        created_at=row.created_at,
        description=row.description,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        is_current=row.is_current,
        deleted_at=row.deleted_at,
        metadata=stored.metadata(row.metadata),
        binary_path=row.binary_path or None,
        problem=row.problem,
    )


def launch(row: LaunchRow, instance: InstanceRow) -> Launch:
    """Build a launch; if it is open, its run is read from the instance."""
    is_registered = instance.run_epoch > (instance.ended_run or 0)
    open_run = instance.run_epoch if is_registered else None
    return Launch(
        launch_id=row.launch_id,
        instance_id=row.instance_id,
        environment_id=row.environment_id,
        number=row.number,
        created_at=row.created_at,
        image_id=row.image_id,
        runner=row.runner,
        placement=row.placement,
        started_at=row.started_at,
        closed_at=row.closed_at,
        run=open_run if row.closed_at is None else row.run,
        cause=row.cause,
        exit_code=row.exit_code,
        exit_signal=row.exit_signal,
        memory_peak_bytes=row.memory_peak_bytes,
        cpu_usage_usec=row.cpu_usage_usec,
        stderr=row.stderr,
        verdict=row.verdict,
    )


def write_end(row: LaunchRow, end: LaunchEnd) -> None:
    """Write into a launch's row how its process ended."""
    row.cause = end.cause
    row.exit_code, row.exit_signal = end.exit_code, end.signal
    row.memory_peak_bytes, row.cpu_usage_usec = end.memory_peak_bytes, end.cpu_usage_usec
    row.stderr = end.stderr or None


def environment(row: EnvironmentRow, open_launches: int) -> Environment:
    """Build an environment."""
    return Environment(
        environment_id=row.environment_id,
        kind=EnvironmentKind(row.kind),
        machine=row.machine,
        boot_id=row.boot_id,
        version=row.version,
        capacity=row.capacity,
        open_launches=open_launches,
        started_at=row.started_at,
        lease_until=row.lease_until,
        clock_offset_ms=row.clock_offset_ms,
        is_draining=row.is_draining,
        closed_at=row.closed_at,
        tenant_id=row.tenant_id,
        workflows=tuple(json.loads(row.workflows or "[]")),
    )


def limit(row: LimitRow) -> Limit:
    """Build a limit."""
    period = row.rate_period_ms
    return Limit(
        Scope(row.scope),
        row.tenant_id,
        row.name,
        row.max_concurrent,
        row.per_environment,
        row.rate,
        None if period is None else timedelta(milliseconds=period),
    )


def hold(row: HoldRow) -> Hold:
    """Build a hold."""
    return Hold(Scope(row.scope), row.tenant_id, row.name, row.reason, row.created_at)
