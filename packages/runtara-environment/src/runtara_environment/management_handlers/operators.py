"""Launches, their logs, environments and holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_launches import LaunchFilter
from runtara_environment.errors import NotFound
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_domain.model.stored_launches import Launch
    from runtara_domain.ports.placements import LogPiece
    from runtara_environment.management import Management, ManagementRequest

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
    """Read a piece of the output of a launch's process, and wait for more of it."""
    if message.offset < 0:
        raise InvalidValue(f"offset: takes 0 or more, got {message.offset}")
    limit = min(message.limit or _MAX_PIECE, _MAX_PIECE)
    tenant_id, launch = await _launch(core, message)
    until = core.clock.uptime() + min(timedelta(milliseconds=message.wait_ms), _LONGEST_WAIT)
    abandoned = asyncio.Event()
    with request.on_abandoned(abandoned.set):
        while True:
            is_over = launch.closed_at is not None
            piece = await core.read_log(tenant_id, launch, message.offset, limit)
            piece = piece or _kept(core, launch, message.offset, limit)
            left = (until - core.clock.uptime()).total_seconds()
            if piece.data or is_over or left <= 0 or abandoned.is_set():
                break
            await asyncio.sleep(min(_LOOK, left))
            _, launch = await _launch(core, message, launch.launch_id)
    return pb.RpcResponse(
        get_log=pb.GetLogResponse(
            launch_id=launch.launch_id,
            data=piece.data,
            next_offset=piece.end,
            is_complete=is_over and piece.end >= piece.size,
        )
    )


async def _launch(
    core: Management, message: pb.GetLogRequest, launch_id: str | None = None
) -> tuple[str, Launch]:
    """Return the requested launch, with its tenant."""
    instance_id = translation.required(message, "instance_id")
    wanted = launch_id or translation.optional(message, "launch_id")
    instance = await core.persistence.instances.get(instance_id)
    launches = await core.persistence.launches.page(LaunchFilter(instance_id), limit=1000)
    found = next((one for one in launches if wanted in (None, one.launch_id)), None)
    if instance is None or found is None:
        raise NotFound(
            f"Launch of instance {instance_id!r} not found: there is no such instance, or it was"
            " never launched"
        )
    return instance.tenant_id, found


def _kept(core: Management, launch: Launch, offset: int, limit: int) -> LogPiece:
    """Return the stored end of a log that can't be read here, once the launch has ended."""
    from runtara_domain.model.launches import MAX_STDERR_BYTES
    from runtara_domain.model.stored_images import LOCAL
    from runtara_domain.ports.placements import LogPiece

    is_far = launch.placement not in (None, LOCAL) and launch.closed_at is not None
    if not is_far and launch.environment_id != core.environment_id:
        raise NotFound(
            f"Log not found: launch {launch.launch_id} ran in environment"
            f" {launch.environment_id}; ask that environment"
        )
    stored = (launch.stderr or "").encode() if is_far else b""
    # An offset of the whole log is one of its end only where that is all there was.
    is_whole = len(stored) < MAX_STDERR_BYTES or not offset
    data = stored[offset : offset + limit] if is_whole else b""
    return LogPiece(data, offset + len(data), len(stored) if is_whole else offset)


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
    """Forbid an environment to claim, or allow it again."""
    environment_id = translation.required(message, "environment_id")
    if not await core.persistence.environments.drain(environment_id, draining=message.drain):
        raise NotFound(f"Environment {environment_id!r} not found")
    core.launcher.recheck()
    return pb.RpcResponse(drain_environment=pb.DrainEnvironmentResponse())


async def set_hold(
    core: Management, request: ManagementRequest, message: pb.SetHoldRequest
) -> pb.RpcResponse:
    """Launch nothing that a hold covers, or again."""
    from runtara_domain.model.limits import Hold, Scope

    scope = translation.scope(message.scope)
    if message.hold:
        hold = Hold(scope, message.tenant_id, message.name, message.reason)
        await core.persistence.limits.hold(hold, at=core.launcher.now())
    elif scope is Scope.QUEUE or not await core.persistence.limits.release(
        scope, message.tenant_id, message.name
    ):
        raise NotFound(f"Hold of {scope} {message.name or message.tenant_id!r} not found")
    else:
        core.launcher.recheck()
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
