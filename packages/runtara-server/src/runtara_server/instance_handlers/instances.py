"""Registering instances, reading their status, and starting children."""

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    NewChild,
    NewChildren,
    Registered,
    Registration,
)
from runtara_domain.ports.transport import Operations, Request
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation

_LOOKED_AT = 32
"""The most checkpoints that are returned with a registration."""

_MOST_LOOKED_AT = 64 * 1024
"""Bytes that an answer has with them."""

_LARGEST_STATE = _MOST_LOOKED_AT // _LOOKED_AT
"""Bytes of a state that is read for it: any number of registrations may look at once."""


async def register_instance(
    core: Operations, request: Request, message: pb.RegisterInstanceRequest
) -> pb.RpcResponse:
    """Register an instance for the session."""
    registered = await core.register_instance(
        session=request.session,
        registration=Registration(
            instance_id=message.instance_id,
            tenant_id=message.tenant_id,
            checkpoint_id=message.checkpoint_id if message.HasField("checkpoint_id") else None,
            continue_run=message.continue_run if message.HasField("continue_run") else None,
            workflow=message.workflow if message.HasField("workflow") else None,
            code_version=message.code_version if message.HasField("code_version") else None,
            launch_id=message.launch_id if message.HasField("launch_id") else None,
        ),
    )
    answer = pb.RegisterInstanceResponse(
        success=True,
        run=registered.run,
        input=registered.input,
        # Not sent to clients that don't know the field.
        knows_children=message.look,
    )
    if message.look:
        await _look(core, request, answer, message.instance_id, registered)
    return pb.RpcResponse(register_instance=answer)


async def _look(
    core: Operations,
    request: Request,
    answer: pb.RegisterInstanceResponse,
    instance_id: str,
    registered: Registered,
) -> None:
    """Return the checkpoints that a run reads first; None if large: then it requests them."""
    if answer.ByteSize() > _MOST_LOOKED_AT:
        return
    page = pb.ListCheckpointsResponse()
    if not registered.is_blank:
        found = await _first_page(core, request.session.caller(instance_id))
        if found is None:
            return
        page = found
    signal = translation.signal(instance_id, registered.signal)
    looked = pb.RegisterInstanceResponse(
        checkpoints=page, pending_signal=signal, knows_preceding=True, knows_together=True
    )
    if answer.ByteSize() + looked.ByteSize() <= _MOST_LOOKED_AT:
        answer.MergeFrom(looked)


async def _first_page(core: Operations, caller: Caller) -> pb.ListCheckpointsResponse | None:
    """Return the first checkpoints; None if a state among them is large."""
    page = await core.list_checkpoints(
        caller=caller, after_id=0, limit=_LOOKED_AT, largest_state=_LARGEST_STATE
    )
    if any(entry.state is None for entry in page.entries):
        return None
    return translation.page(page)


async def get_instance_status(
    core: Operations, request: Request, message: pb.GetInstanceStatusRequest
) -> pb.RpcResponse:
    """Read an instance; an unknown one is no error."""
    instance = await core.get_instance_status(caller=request.session.caller(message.instance_id))
    return pb.RpcResponse(get_instance_status=translation.status(message.instance_id, instance))


async def start_child(
    core: Operations, request: Request, message: pb.StartChildRequest
) -> pb.RpcResponse:
    """Create a child of an instance."""
    created = await core.start_child(
        caller=request.session.caller(message.instance_id),
        child=NewChild(
            message.child_id,
            message.workflow,
            message.input if message.HasField("input") else None,
            message.is_successor,
        ),
    )
    return pb.RpcResponse(start_child=pb.StartChildResponse(created=created))


async def start_children(
    core: Operations, request: Request, message: pb.StartChildrenRequest
) -> pb.RpcResponse:
    """Create children of an instance, and save checkpoints of it, all or nothing."""
    new = NewChildren(
        tuple(
            NewChild(one.child_id, one.workflow, one.input if one.HasField("input") else None)
            for one in message.children
        ),
        tuple(CheckpointWrite(one.checkpoint_id, one.state) for one in message.checkpoints),
    )
    started = await core.start_children(caller=request.session.caller(message.instance_id), new=new)
    return pb.RpcResponse(start_children=translation.children_started(message.instance_id, started))


async def cancel_child(
    core: Operations, request: Request, message: pb.CancelChildRequest
) -> pb.RpcResponse:
    """Send a child of an instance a cancel."""
    sent = await core.cancel_child(
        caller=request.session.caller(message.instance_id), child_id=message.child_id
    )
    return pb.RpcResponse(cancel_child=pb.CancelChildResponse(sent=sent))
