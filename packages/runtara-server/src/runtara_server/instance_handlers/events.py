"""What instances say of themselves."""

from runtara_domain.model import Event
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


def _event(request: pb.InstanceEvent) -> Event:
    return Event(
        type=translation.event_type(request.event_type),
        payload=request.payload,
        created_at=translation.moment(request.timestamp_ms),
        checkpoint_id=request.checkpoint_id if request.HasField("checkpoint_id") else None,
        subtype=request.subtype if request.HasField("subtype") else None,
    )
