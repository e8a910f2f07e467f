"""Events, heartbeats and reports of instances."""

from runtara_domain import values
from runtara_domain.error import CoreError, InvalidValue
from runtara_domain.model import Caller, Event, Report
from runtara_domain.ports.transport import Operations, Request
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def instance_event(
    core: Operations, request: Request, message: pb.InstanceEvent
) -> pb.RpcResponse:
    """Record one event; answered once it is durable."""
    caller = request.session.caller(message.instance_id)
    answer = pb.InstanceEventResponse(success=True)
    if message.event_type == pb.EVENT_HEARTBEAT:
        await core.heartbeat(caller=caller, report=_report(message))
    else:
        event = _event(message)
        recorded = await core.record_event(session=request.session, caller=caller, event=event)
        answer.launch_closed = recorded.is_launch_closed
    return pb.RpcResponse(instance_event=answer)


async def instance_event_batch(
    core: Operations, request: Request, message: pb.InstanceEventBatch
) -> None:
    """Record many events at once; those that make no sense are skipped and logged."""
    values.check_range("events", len(message.events), 0, values.MAX_EVENT_BATCH)
    entries: list[tuple[Caller, Event]] = []
    heartbeats: list[Caller] = []
    refused: list[CoreError] = []
    for event in message.events:
        try:
            caller = request.session.caller(event.instance_id)
            if event.event_type == pb.EVENT_HEARTBEAT:
                heartbeats.append(caller)
            else:
                entries.append((caller, _event(event)))
        except InvalidValue as error:
            refused.append(error)
    await core.record_events(
        session=request.session, entries=entries, heartbeats=heartbeats, refused=refused
    )


def _report(message: pb.InstanceEvent) -> Report | None:
    """Return the report in a heartbeat; None if it has none."""
    report = Report(
        waits=message.waits if message.HasField("waits") else None,
        progress=message.progress if message.HasField("progress") else None,
    )
    return None if report == Report() else report


def _event(message: pb.InstanceEvent) -> Event:
    return Event(
        type=translation.event_type(message.event_type),
        payload=message.payload,
        created_at=translation.moment(message.timestamp_ms),
        checkpoint_id=message.checkpoint_id if message.HasField("checkpoint_id") else None,
        subtype=message.subtype if message.HasField("subtype") else None,
        blocked_reason=message.blocked_reason if message.HasField("blocked_reason") else None,
        waits=message.waits if message.HasField("waits") else None,
        failure=message.failure if message.HasField("failure") else None,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
    )
