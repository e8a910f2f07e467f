"""What instances say of themselves."""

from runtara_domain import values
from runtara_domain.error import CoreError, InvalidValue
from runtara_domain.model import Caller, Event
from runtara_domain.ports.transport import Operations
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def instance_event(
    core: Operations, session: Session, request: pb.InstanceEvent
) -> pb.RpcResponse:
    """Record one event; answered once it is durable."""
    caller = session.caller(request.instance_id)
    if request.event_type == pb.EVENT_HEARTBEAT:
        await core.heartbeat(caller=caller)
    else:
        await core.record_event(session=session, caller=caller, event=_event(request))
    return pb.RpcResponse(instance_event=pb.InstanceEventResponse(success=True))


async def instance_event_batch(
    core: Operations, session: Session, request: pb.InstanceEventBatch
) -> None:
    """Record many events at once; those that make no sense are skipped and logged."""
    values.check_range("events", len(request.events), 0, values.MAX_EVENT_BATCH)
    entries: list[tuple[Caller, Event]] = []
    heartbeats: list[Caller] = []
    refused: list[CoreError] = []
    for event in request.events:
        try:
            caller = session.caller(event.instance_id)
            if event.event_type == pb.EVENT_HEARTBEAT:
                heartbeats.append(caller)
            else:
                entries.append((caller, _event(event)))
        except InvalidValue as error:
            refused.append(error)
    await core.record_events(
        session=session, entries=entries, heartbeats=heartbeats, refused=refused
    )


def _event(request: pb.InstanceEvent) -> Event:
    return Event(
        type=translation.event_type(request.event_type),
        payload=request.payload,
        created_at=translation.moment(request.timestamp_ms),
        checkpoint_id=request.checkpoint_id if request.HasField("checkpoint_id") else None,
        subtype=request.subtype if request.HasField("subtype") else None,
    )
