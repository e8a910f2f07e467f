"""What instances are told, and that they heard it."""

from datetime import timedelta

from runtara_domain.ports.transport import Operations
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def poll_signals(
    core: Operations, session: Session, request: pb.PollSignalsRequest
) -> pb.RpcResponse:
    """Read what is pending, and wait for it if asked to."""
    pending = await core.poll_signals(
        session=session,
        caller=session.caller(request.instance_id),
        checkpoint_id=request.checkpoint_id if request.HasField("checkpoint_id") else None,
        wait=timedelta(milliseconds=request.wait_ms),
    )
    return pb.RpcResponse(
        poll_signals=pb.PollSignalsResponse(
            signal=translation.signal(request.instance_id, pending.signal),
            custom_signal=translation.custom_signal(request.checkpoint_id, pending.custom_signal),
        )
    )


async def signal_ack(core: Operations, session: Session, request: pb.SignalAck) -> None:
    """Take a signal as acknowledged."""
    await core.acknowledge_signal(
        session=session,
        caller=session.caller(request.instance_id),
        signal=translation.signal_type(request.signal_type),
        accepted=request.acknowledged,
    )
