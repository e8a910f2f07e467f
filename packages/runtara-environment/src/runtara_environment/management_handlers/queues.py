"""Queues, and limits of tenants and image names."""

from datetime import timedelta

from runtara_domain.error import InvalidValue
from runtara_domain.model.limits import Limit, Scope
from runtara_environment.errors import Conflict, NotFound
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb


async def put_queue(
    core: Management, request: ManagementRequest, message: pb.PutQueueRequest
) -> pb.RpcResponse:
    """Create a queue, or replace its bounds."""
    period = message.rate_period_ms if message.HasField("rate_period_ms") else None
    if period is not None and not 1 <= period <= _LONGEST_PERIOD_MS:
        raise InvalidValue(f"rate_period_ms: takes 1 to {_LONGEST_PERIOD_MS}, got {period}")
    limit = Limit(
        Scope.QUEUE,
        translation.required(message, "tenant_id"),
        translation.required(message, "name"),
        message.concurrency if message.HasField("concurrency") else None,
        message.concurrency_per_worker if message.HasField("concurrency_per_worker") else None,
        message.rate if message.HasField("rate") else None,
        None if period is None else timedelta(milliseconds=period),
    )
    created = await core.persistence.limits.put(limit)
    core.launcher.recheck()
    return pb.RpcResponse(put_queue=pb.PutQueueResponse(created=created))


_LONGEST_PERIOD_MS = 366 * 24 * 60 * 60 * 1000


async def list_queues(
    core: Management, request: ManagementRequest, message: pb.ListQueuesRequest
) -> pb.RpcResponse:
    """List queues with the numbers of waiting and running instances."""
    found = await core.persistence.limits.page(translation.optional(message, "tenant_id"))
    queues = [translation.queue(use) for use in found if use.limit.scope is Scope.QUEUE]
    return pb.RpcResponse(list_queues=pb.ListQueuesResponse(queues=queues))


async def delete_queue(
    core: Management, request: ManagementRequest, message: pb.DeleteQueueRequest
) -> pb.RpcResponse:
    """Delete a queue that no open instance is in."""
    tenant_id = translation.required(message, "tenant_id")
    name = translation.required(message, "name")
    open_instances = await core.persistence.limits.remove(Scope.QUEUE, tenant_id, name)
    if open_instances is None:
        raise NotFound(f"Queue {name!r} not found")
    if open_instances:
        raise Conflict(f"Queue {name!r} has {open_instances} open instances: let them end first")
    return pb.RpcResponse(delete_queue=pb.DeleteQueueResponse())


async def put_limit(
    core: Management, request: ManagementRequest, message: pb.PutLimitRequest
) -> pb.RpcResponse:
    """Bound the open launches of a tenant or an image name, or take the bound away."""
    scope = translation.scope(message.scope)
    tenant_id = translation.required(message, "tenant_id")
    if scope is Scope.QUEUE:
        raise InvalidValue("scope: takes a tenant or an image name; a queue is put by put_queue")
    if message.HasField("max_concurrent"):
        await core.persistence.limits.put(
            Limit(scope, tenant_id, message.name, message.max_concurrent)
        )
    else:
        await core.persistence.limits.remove(scope, tenant_id, message.name)
    core.launcher.recheck()
    return pb.RpcResponse(put_limit=pb.PutLimitResponse())


async def list_limits(
    core: Management, request: ManagementRequest, message: pb.ListLimitsRequest
) -> pb.RpcResponse:
    """List limits with their open launches."""
    found = await core.persistence.limits.page(translation.optional(message, "tenant_id"))
    limits = [translation.bounded(use) for use in found if use.limit.scope is not Scope.QUEUE]
    return pb.RpcResponse(list_limits=pb.ListLimitsResponse(limits=limits))
