"""The management protocol's operations, and the handler of each."""

from types import MappingProxyType
from typing import Any, TypeAlias

from runtara_domain.error import DatabaseError, EmptyRequest, Overloaded, ShuttingDown
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import (
    copies,
    history,
    images,
    instances,
    operators,
    queues,
    schedules,
    system,
    workers,
)
from runtara_protocol.pb import environment_pb2 as pb
from runtara_protocol.quic.stream import Stream
from runtara_protocol.server.router import OperationTable, Router
from runtara_protocol.server.streams import RequestStreams, Upload

ManagementRouter: TypeAlias = Router[Management, ManagementRequest, pb.RpcResponse]

_LARGE_ANSWERS = frozenset(
    {"get_checkpoint", "get_instance_status", "list_events", "get_log", "export_instance"}
)
_READS = _LARGE_ANSWERS | {"list_instances", "list_launches", "list_checkpoints", "list_images"}

# Refusals of these are answered in their own response, as old clients expect it.
_REFUSED_INSIDE: dict[str, tuple[str, Any]] = {
    "register_image": ("register_image", pb.RegisterImageResponse),
    "register_image_stream": ("register_image", pb.RegisterImageResponse),
    "delete_image": ("delete_image", pb.DeleteImageResponse),
    "start_instance": ("start_instance", pb.StartInstanceResponse),
    "stop_instance": ("stop_instance", pb.StopInstanceResponse),
    "resume_instance": ("resume_instance", pb.ResumeInstanceResponse),
    "send_signal": ("send_signal", pb.SendSignalResponse),
    "send_custom_signal": ("send_custom_signal", pb.SendCustomSignalResponse),
}
# These say nothing about what was asked for, only that the server can't do it now.
_NEVER_INSIDE = frozenset(
    {"INTERNAL_ERROR", DatabaseError.code, EmptyRequest.code, Overloaded.code, ShuttingDown.code}
)


def _is_read(response: pb.RpcResponse) -> bool:
    return response.WhichOneof("response") in _READS


def _refusal(operation: str | None, code: str, message: str) -> pb.RpcResponse:
    inside = _REFUSED_INSIDE.get(operation or "")
    if inside is None or code in _NEVER_INSIDE:
        return pb.RpcResponse(error=pb.RpcError(code=code, message=message))
    field, response_type = inside
    answer = response_type(success=False, error=message, code=code)
    return pb.RpcResponse(**{field: answer})


OPERATIONS: OperationTable[Management, ManagementRequest, pb.RpcResponse] = OperationTable(
    parse=pb.RpcRequest.FromString,
    handlers=MappingProxyType(
        {
            "health_check": system.health_check,
            "register_image": images.register_image,
            "register_image_stream": images.register_image_stream,
            "list_images": images.list_images,
            "get_image": images.get_image,
            "delete_image": images.delete_image,
            "start_instance": instances.start_instance,
            "stop_instance": instances.stop_instance,
            "resume_instance": instances.resume_instance,
            "get_instance_status": instances.get_instance_status,
            "list_instances": instances.list_instances,
            "send_signal": instances.send_signal,
            "test_capability": system.test_capability,
            "list_agents": system.list_agents,
            "get_capability": system.get_capability,
            "list_checkpoints": history.list_checkpoints,
            "get_checkpoint": history.get_checkpoint,
            "send_custom_signal": instances.send_custom_signal,
            "list_events": history.list_events,
            "get_tenant_metrics": history.get_tenant_metrics,
            "retry_instance": instances.retry_instance,
            "fork_instance": instances.fork_instance,
            "move_instance": instances.move_instance,
            "wait_instance": instances.wait_instance,
            "list_launches": operators.list_launches,
            "get_log": operators.get_log,
            "list_environments": operators.list_environments,
            "drain_environment": operators.drain_environment,
            "set_hold": operators.set_hold,
            "list_holds": operators.list_holds,
            "prune_instances": operators.prune_instances,
            "delete_instance": instances.delete_instance,
            "export_instance": copies.export_instance,
            "import_instance": copies.import_instance,
            "open_worker": workers.open_worker,
            "claim_launches": workers.claim_launches,
            "renew_worker": workers.renew_worker,
            "report_launches": workers.report_launches,
            "close_worker": workers.close_worker,
            "put_queue": queues.put_queue,
            "list_queues": queues.list_queues,
            "delete_queue": queues.delete_queue,
            "put_limit": queues.put_limit,
            "list_limits": queues.list_limits,
            "put_schedule": schedules.put_schedule,
            "list_schedules": schedules.list_schedules,
            "pause_schedule": schedules.pause_schedule,
            "trigger_schedule": schedules.trigger_schedule,
            "backfill_schedule": schedules.backfill_schedule,
            "next_ticks": schedules.next_ticks,
            "delete_schedule": schedules.delete_schedule,
        }
    ),
    large_answers=_LARGE_ANSWERS,
    is_read=_is_read,
    refusal=_refusal,
)


def streams(router: ManagementRouter, **bounds: Any) -> RequestStreams[ManagementRequest]:
    """Serve a connection's streams; bounds: those that RequestStreams takes."""
    return RequestStreams(router, _request, _closed, keeps_rest=True, **bounds)


def _request(stream: Stream, rest: bytes) -> ManagementRequest:
    return ManagementRequest(stream.on_stop_sending, Upload(stream, rest))


def _closed() -> None:
    """Nothing outlives a connection of this port."""
