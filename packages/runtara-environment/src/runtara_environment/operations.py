"""The management protocol's operations, and where the handler of each lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from runtara_domain.error import DatabaseError, EmptyRequest, Overloaded, ShuttingDown
from runtara_environment.management import Management, ManagementRequest
from runtara_protocol.pb import environment_pb2 as pb
from runtara_protocol.server.router import Handler, OperationTable, Router

if TYPE_CHECKING:
    from runtara_protocol.quic.stream import Stream
    from runtara_protocol.server.streams import RequestStreams

ManagementHandler: TypeAlias = Handler[Management, ManagementRequest, pb.RpcResponse]
ManagementRouter: TypeAlias = Router[Management, ManagementRequest, pb.RpcResponse]

_LARGE_ANSWERS = frozenset(
    {"get_checkpoint", "get_instance_status", "list_events", "get_log", "export_instance"}
)
_READS = _LARGE_ANSWERS | {"list_instances", "list_launches", "list_checkpoints", "list_images"}

# The responses of these have the refusal, as old clients expect it.
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
# These errors are about the server's present state, and not about the request.
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


# By the modules that they lie in.
_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "system": ("health_check", "test_capability", "list_agents", "get_capability"),
    "images": (
        "register_image", "register_image_stream", "list_images", "get_image", "delete_image",
    ),
    "instances": (
        "start_instance", "stop_instance", "resume_instance", "get_instance_status",
        "list_instances", "send_signal", "send_custom_signal", "retry_instance", "fork_instance",
        "move_instance", "wait_instance", "delete_instance", "delete_instance_if",
    ),
    "history": ("list_checkpoints", "get_checkpoint", "list_events", "get_tenant_metrics"),
    "operators": (
        "list_launches", "get_log", "list_environments", "drain_environment", "set_hold",
        "list_holds", "prune_instances",
    ),
    "copies": ("export_instance", "import_instance"),
    "workers": ("open_worker", "claim_launches", "renew_worker", "report_launches", "close_worker"),
    "queues": ("put_queue", "list_queues", "delete_queue", "put_limit", "list_limits"),
    "schedules": (
        "put_schedule", "list_schedules", "pause_schedule", "trigger_schedule",
        "backfill_schedule", "next_ticks", "delete_schedule",
    ),
}  # fmt: skip
_MODULES = {operation: module for module, each in _OPERATIONS.items() for operation in each}


class _Handlers(Mapping[str, ManagementHandler]):
    """The handlers by their operations; a module of them is imported when it is asked for one."""

    def __getitem__(self, operation: str) -> ManagementHandler:
        module = import_module(f"runtara_environment.management_handlers.{_MODULES[operation]}")
        handler: ManagementHandler = getattr(module, operation)
        return handler

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


OPERATIONS: OperationTable[Management, ManagementRequest, pb.RpcResponse] = OperationTable(
    parse=pb.RpcRequest.FromString,
    handlers=_Handlers(),
    large_answers=_LARGE_ANSWERS,
    is_read=_is_read,
    refusal=_refusal,
)


def streams(router: ManagementRouter, **bounds: Any) -> RequestStreams[ManagementRequest]:
    """Serve a connection's streams; bounds: those that RequestStreams takes."""
    # Only now: a command on a database serves none.
    from runtara_protocol.server.streams import RequestStreams

    return RequestStreams(router, _request, _closed, keeps_rest=True, **bounds)


def _request(stream: Stream, rest: bytes) -> ManagementRequest:
    from runtara_protocol.server.streams import Upload

    return ManagementRequest(stream.on_stop_sending, Upload(stream, rest))


def _closed() -> None:
    """Nothing outlives a connection of this port."""
