"""How messages become records of one instance and its history."""

from runtara_management_sdk import reading
from runtara_management_sdk.instance_records import Event, Instance, Launch, report_of
from runtara_protocol.pb import environment_pb2 as pb


def instance(message: pb.GetInstanceStatusResponse) -> Instance:
    """Read an instance."""
    return Instance(
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        status=reading.status(message.status),
        created_at=reading.moment(message.created_at_ms),
        image_id=message.image_id or None,
        image_name=message.image_name or None,
        image_version=reading.field(message, "version"),
        workflow=reading.field(message, "workflow"),
        code_version=reading.field(message, "code_version"),
        run=reading.field(message, "run"),
        checkpoint_id=reading.field(message, "checkpoint_id"),
        started_at=reading.time(message, "started_at_ms"),
        finished_at=reading.time(message, "finished_at_ms"),
        last_activity_at=reading.time(message, "heartbeat_at_ms"),
        input=reading.field(message, "input"),
        output=reading.field(message, "output"),
        error=reading.field(message, "error"),
        stderr=reading.field(message, "stderr"),
        is_blocked=message.blocked,
        waiting_for=tuple(map(reading.waiting, message.waiting_for)),
        progress=report_of(reading.field(message, "progress")),
        launches=reading.field(message, "launches"),
        crashes=reading.field(message, "crashes"),
        next_launch_at=reading.time(message, "next_launch_ms"),
        wake_at=reading.time(message, "wake_at_ms"),
        not_launched=reading.field(message, "not_launched"),
        not_launched_kind=reading.field(message, "not_launched_kind"),
        queue=reading.field(message, "queue"),
        priority=reading.field(message, "priority"),
        parent_id=reading.field(message, "parent_id"),
        memory_peak_bytes=reading.field(message, "memory_peak_bytes"),
        cpu_usage_usec=reading.field(message, "cpu_usage_usec"),
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
        created_at=reading.moment(message.created_at_ms),
        started_at=reading.time(message, "started_at_ms"),
        ended_at=reading.time(message, "ended_at_ms"),
        run=reading.field(message, "run"),
        image_id=reading.field(message, "image_id"),
        runner=reading.field(message, "runner"),
        placement=reading.field(message, "placement"),
        cause=reading.field(message, "cause"),
        exit_code=reading.field(message, "exit_code"),
        exit_signal=reading.field(message, "exit_signal"),
        memory_peak_bytes=reading.field(message, "memory_peak_bytes"),
        cpu_usage_usec=reading.field(message, "cpu_usage_usec"),
        stderr=reading.field(message, "stderr"),
        verdict=reading.field(message, "verdict"),
    )


def event(message: pb.EventSummary) -> Event:
    """Read an event."""
    return Event(
        message.id,
        message.event_type,
        reading.moment(message.created_at_ms),
        reading.field(message, "subtype"),
        reading.field(message, "checkpoint_id"),
        reading.field(message, "payload"),
    )
