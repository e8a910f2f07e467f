"""Registering instances, and reading how they stand."""

from runtara_domain.model import Registration
from runtara_domain.ports.transport import Operations
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


async def register_instance(
    core: Operations, session: Session, request: pb.RegisterInstanceRequest
) -> pb.RpcResponse:
    """Register an instance for the session."""
    registered = await core.register_instance(
        session=session,
        registration=Registration(
            instance_id=request.instance_id,
            tenant_id=request.tenant_id,
            checkpoint_id=request.checkpoint_id if request.HasField("checkpoint_id") else None,
            continue_run=request.continue_run if request.HasField("continue_run") else None,
        ),
    )
    return pb.RpcResponse(
        register_instance=pb.RegisterInstanceResponse(
            success=True, run=registered.run, input=registered.input
        )
    )


async def get_instance_status(
    core: Operations, session: Session, request: pb.GetInstanceStatusRequest
) -> pb.RpcResponse:
    """Read an instance; an unknown one is no error."""
    instance = await core.get_instance_status(caller=session.caller(request.instance_id))
    return pb.RpcResponse(get_instance_status=translation.status(request.instance_id, instance))
