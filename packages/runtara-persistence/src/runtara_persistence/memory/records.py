"""Rows as records."""

from runtara_domain.model import Claimed, Instance, InstanceSummary, StoredEvent
from runtara_persistence.memory.store import EventRow, InstanceRow


def summary(row: InstanceRow) -> InstanceSummary:
    """Build what a list shows of an instance."""
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
    """Build what whoever claimed an instance needs to launch it."""
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
