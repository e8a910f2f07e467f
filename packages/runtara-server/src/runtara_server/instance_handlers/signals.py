"""Signals to instances, and their acknowledgements."""

from datetime import timedelta

from runtara_domain import values
from runtara_domain.ports.transport import Operations, Request
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def poll_signals(
    core: Operations, request: Request, message: pb.PollSignalsRequest
) -> pb.RpcResponse:
    """Read pending signals; if asked to, wait for one as long as the client wants the answer."""
    more = message.more_checkpoint_ids
    values.check_range("more_checkpoint_ids", len(more), 0, values.MAX_POLLED)
    named = [message.checkpoint_id] if message.HasField("checkpoint_id") else []
    pending = await core.poll_signals(
        session=request.session,
        caller=request.session.caller(message.instance_id),
        checkpoint_ids=[*named, *more],
        wait=timedelta(milliseconds=message.wait_ms),
        on_abandoned=request.on_abandoned,
    )
    return pb.RpcResponse(poll_signals=translation.pending(message, pending))


async def signal_ack(core: Operations, request: Request, message: pb.SignalAck) -> None:
    """Take a signal as acknowledged."""
    await core.acknowledge_signal(
        session=request.session,
        caller=request.session.caller(message.instance_id),
        signal=translation.signal_type(message.signal_type),
        accepted=message.acknowledged,
    )
