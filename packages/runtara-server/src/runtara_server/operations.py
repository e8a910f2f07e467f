"""The instance protocol's operations, and the handler of each."""

from collections.abc import Callable
from types import MappingProxyType
from typing import TypeAlias

from runtara_domain.ports.transport import Operations, Request
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.stream import Stream
from runtara_protocol.server.router import OperationTable, Router
from runtara_server.instance_handlers import checkpoints, events, instances, signals

InstanceRouter: TypeAlias = Router[Operations, Request, pb.RpcResponse]

_LARGE_ANSWERS = frozenset({"get_checkpoint", "get_instance_status", "list_checkpoints"})
_READS = _LARGE_ANSWERS | {"poll_signals"}


def _is_read(response: pb.RpcResponse) -> bool:
    return response.WhichOneof("response") in _READS or response.checkpoint.found


def _refusal(operation: str | None, code: str, message: str) -> pb.RpcResponse:
    if operation == "register_instance":
        return pb.RpcResponse(
            register_instance=pb.RegisterInstanceResponse(success=False, error=message, code=code)
        )
    return pb.RpcResponse(error=pb.RpcError(code=code, message=message))


OPERATIONS: OperationTable[Operations, Request, pb.RpcResponse] = OperationTable(
    parse=pb.RpcRequest.FromString,
    handlers=MappingProxyType(
        {
            "register_instance": instances.register_instance,
            "get_instance_status": instances.get_instance_status,
            "start_child": instances.start_child,
            "start_children": instances.start_children,
            "cancel_child": instances.cancel_child,
            "checkpoint": checkpoints.checkpoint,
            "checkpoint_after": checkpoints.checkpoint,
            "save_together": checkpoints.checkpoint,
            "get_checkpoint": checkpoints.get_checkpoint,
            "list_checkpoints": checkpoints.list_checkpoints,
            "sleep": checkpoints.sleep,
            "retry_attempt": checkpoints.retry_attempt,
            "instance_event": events.instance_event,
            "instance_event_batch": events.instance_event_batch,
            "poll_signals": signals.poll_signals,
            "signal_ack": signals.signal_ack,
        }
    ),
    large_answers=_LARGE_ANSWERS,
    is_read=_is_read,
    refusal=_refusal,
)


def router(core: Operations) -> InstanceRouter:
    """Build the router that answers requests of all sessions with the core's operations."""
    return Router(OPERATIONS, core)


def requests_of(session: Session) -> Callable[[Stream, bytes], Request]:
    """Return a factory of a session's requests from its streams."""
    return lambda stream, _: Request(session, stream.on_stop_sending, stream.hand_back)
