"""Saving checkpoints, and reading them back."""

from runtara_domain.model import CheckpointWrite
from runtara_domain.ports.transport import Operations
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def checkpoint(
    core: Operations, session: Session, request: pb.CheckpointRequest
) -> pb.RpcResponse:
    """Save a state, or find the one saved first."""
    outcome = await core.save_checkpoint(
        caller=session.caller(request.instance_id),
        write=CheckpointWrite(request.checkpoint_id, request.state),
    )
    return pb.RpcResponse(
        checkpoint=translation.saved(request.instance_id, request.checkpoint_id, outcome)
    )


async def get_checkpoint(
    core: Operations, session: Session, request: pb.GetCheckpointRequest
) -> pb.RpcResponse:
    """Read a state without saving one."""
    kept = await core.get_checkpoint(
        caller=session.caller(request.instance_id), checkpoint_id=request.checkpoint_id
    )
    return pb.RpcResponse(
        get_checkpoint=pb.GetCheckpointResponse(
            found=kept is not None, state=kept.state if kept else b""
        )
    )
