"""Launches, their logs, environments and holds."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from runtara_domain.error import InvalidValue
from runtara_domain.model.launches import Launch, LaunchFilter
from runtara_domain.model.limits import Hold, Scope
from runtara_environment.errors import NotFound
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import translation
from runtara_environment.spawner.output import OLDER_LOG_NAME, lost
from runtara_protocol.pb import environment_pb2 as pb

_MAX_PIECE = 1024 * 1024
_LONGEST_WAIT = timedelta(minutes=1)
_LOOK = 0.1


async def list_launches(
    core: Management, request: ManagementRequest, message: pb.ListLaunchesRequest
) -> pb.RpcResponse:
    """List launches, newest first."""
    which = LaunchFilter(
        translation.optional(message, "instance_id"),
        translation.optional(message, "environment_id"),
        message.open_only,
    )
    limit = translation.limit(message)
    page = await core.persistence.launches.page(
        which, after=translation.optional(message, "after"), limit=limit
    )
    return pb.RpcResponse(
        list_launches=pb.ListLaunchesResponse(
            launches=map(translation.launch, page),
            next=page[-1].launch_id if len(page) == limit else None,
        )
    )


async def get_log(
    core: Management, request: ManagementRequest, message: pb.GetLogRequest
) -> pb.RpcResponse:
    """Read a piece of what a launch's process wrote, and wait for more of it."""
    if message.offset < 0:
        raise InvalidValue(f"offset: takes 0 or more, got {message.offset}")
    limit = min(message.limit or _MAX_PIECE, _MAX_PIECE)
    launch, path = await _logged(core, message)
    until = core.clock.uptime() + min(timedelta(milliseconds=message.wait_ms), _LONGEST_WAIT)
    abandoned = asyncio.Event()
    with request.on_abandoned(abandoned.set):
        while True:
            is_over = launch.closed_at is not None
            data, end, size = await asyncio.to_thread(_read, path, message.offset, limit)
            left = (until - core.clock.uptime()).total_seconds()
            if data or is_over or left <= 0 or abandoned.is_set():
                break
            await asyncio.sleep(min(_LOOK, left))
            launch, _ = await _logged(core, message, launch.launch_id)
    return pb.RpcResponse(
        get_log=pb.GetLogResponse(
            launch_id=launch.launch_id,
            data=data,
            next_offset=end,
            is_complete=is_over and end >= size,
        )
    )


async def _logged(
    core: Management, message: pb.GetLogRequest, launch_id: str | None = None
) -> tuple[Launch, Path]:
    instance_id = translation.required(message, "instance_id")
    wanted = launch_id or translation.optional(message, "launch_id")
    instance = await core.persistence.instances.get(instance_id)
    launches = await core.persistence.launches.page(LaunchFilter(instance_id), limit=1000)
    found = next((one for one in launches if wanted in (None, one.launch_id)), None)
    if instance is None or found is None:
        raise NotFound(f"Launch of instance {instance_id!r} not found: it was never launched")
    path = core.log_path(instance.tenant_id, instance_id, found.launch_id)
    if not path.exists() and found.environment_id != core.environment_id:
        raise NotFound(
            f"Log not found here: launch {found.launch_id} ran in environment"
            f" {found.environment_id}; ask that one"
        )
    return found, path


def _read(path: Path, offset: int, limit: int) -> tuple[bytes, int, int]:
    """Read a part of a log; gives it, the offset behind it, and how much was written in all."""
    while True:
        before = lost(path.parent)
        pieces = []
        for part in (path.with_name(OLDER_LOG_NAME), path):
            with suppress(FileNotFoundError):
                pieces.append(part.read_bytes())
        whole = b"".join(pieces)
        # Else it was rotated meanwhile.
        if lost(path.parent) == before:
            break
    start = max(offset - before, 0)
    data = whole[start : start + limit]
    return data, before + start + len(data), before + len(whole)


async def list_environments(
    core: Management, request: ManagementRequest, message: pb.ListEnvironmentsRequest
) -> pb.RpcResponse:
    """List environments and workers."""
    found = await core.persistence.environments.page()
    return pb.RpcResponse(
        list_environments=pb.ListEnvironmentsResponse(
            environments=map(translation.environment, found)
        )
    )


async def drain_environment(
    core: Management, request: ManagementRequest, message: pb.DrainEnvironmentRequest
) -> pb.RpcResponse:
    """Have an environment claim nothing more, or again."""
    environment_id = translation.required(message, "environment_id")
    if not await core.persistence.environments.drain(environment_id, draining=message.drain):
        raise NotFound(f"Environment {environment_id!r} not found")
    core.launcher.look()
    return pb.RpcResponse(drain_environment=pb.DrainEnvironmentResponse())


async def set_hold(
    core: Management, request: ManagementRequest, message: pb.SetHoldRequest
) -> pb.RpcResponse:
    """Launch nothing that a hold covers, or again."""
    scope = translation.scope(message.scope)
    if message.hold:
        hold = Hold(scope, message.tenant_id, message.name, message.reason)
        await core.persistence.limits.hold(hold, at=core.launcher.now())
    elif scope is Scope.QUEUE or not await core.persistence.limits.release(
        scope, message.tenant_id, message.name
    ):
        raise NotFound(f"Hold of {scope} {message.name or message.tenant_id!r} not found")
    else:
        core.launcher.look()
    return pb.RpcResponse(set_hold=pb.SetHoldResponse())


async def list_holds(
    core: Management, request: ManagementRequest, message: pb.ListHoldsRequest
) -> pb.RpcResponse:
    """List all holds."""
    holds = await core.persistence.limits.holds()
    return pb.RpcResponse(list_holds=pb.ListHoldsResponse(holds=map(translation.hold, holds)))


async def prune_instances(
    core: Management, request: ManagementRequest, message: pb.PruneInstancesRequest
) -> pb.RpcResponse:
    """Delete a batch of finished instances."""
    before = translation.moment(message, "finished_before_ms")
    if before is None:
        raise InvalidValue("finished_before_ms is required")
    limit = translation.limit(message)
    deleted = await core.persistence.instances.prune(before, limit=limit)
    return pb.RpcResponse(prune_instances=pb.PruneInstancesResponse(deleted=deleted))
