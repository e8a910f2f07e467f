"""What instances are told, and that they heard it."""

from datetime import timedelta

from runtara_domain import values
from runtara_domain.ports.transport import Operations, Unread, read_to_the_end
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def poll_signals(
    core: Operations,
    session: Session,
    request: pb.PollSignalsRequest,
    unread: Unread = read_to_the_end,
) -> pb.RpcResponse:
    """Read what is pending, and wait for it if asked to, as long as the answer is wanted."""
    more = request.more_checkpoint_ids
    values.check_range("more_checkpoint_ids", len(more), 0, values.MAX_POLLED)
    named = [request.checkpoint_id] if request.HasField("checkpoint_id") else []
    pending = await core.poll_signals(
        session=session,
        caller=session.caller(request.instance_id),
        checkpoint_ids=[*named, *more],
        wait=timedelta(milliseconds=request.wait_ms),
        unread=unread,
    )
    return pb.RpcResponse(poll_signals=translation.pending(request, pending))


async def signal_ack(core: Operations, session: Session, request: pb.SignalAck) -> None:
    """Take a signal as acknowledged."""
    await core.acknowledge_signal(
        session=session,
        caller=session.caller(request.instance_id),
        signal=translation.signal_type(request.signal_type),
        accepted=request.acknowledged,
    )
