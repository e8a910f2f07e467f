"""
Operators' calls: environments, holds, queues, limits and metrics.

Records are imported when they are read: a command that explains needs only environments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_management_sdk import reading
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_management_sdk.answers import Asks
    from runtara_management_sdk.environment_records import Environment
    from runtara_management_sdk.operator_records import (
        Granularity,
        Hold,
        Limit,
        MetricsBucket,
        Queue,
        Scope,
    )


class Environments:
    """Environments and workers, their drains, and holds."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def list(self) -> Sequence[Environment]:
        """Return environments and workers whose lease is valid, or expired in the last day."""
        request = pb.RpcRequest(list_environments=pb.ListEnvironmentsRequest())
        answer = await self._transport.ask(request)
        return [_environment(message) for message in answer.environments]

    async def drain(self, environment_id: str, *, drain: bool = True) -> None:
        """
        Stop an environment or worker from claiming instances; `drain=False` lets it claim again.

        Raises NotFound.
        """
        request = pb.DrainEnvironmentRequest(environment_id=environment_id, drain=drain)
        await self._transport.ask(pb.RpcRequest(drain_environment=request))

    async def hold(
        self, scope: Scope, tenant_id: str = "", name: str = "", *, reason: str = ""
    ) -> None:
        """Hold a tenant, an image name or a workflow: none of its instances is launched."""
        await self._set_hold(scope, tenant_id, name, reason, hold=True)

    async def release(self, scope: Scope, tenant_id: str = "", name: str = "") -> None:
        """Remove a hold."""
        await self._set_hold(scope, tenant_id, name, "", hold=False)

    async def holds(self) -> Sequence[Hold]:
        """Return all holds."""
        answer = await self._transport.ask(pb.RpcRequest(list_holds=pb.ListHoldsRequest()))
        from runtara_management_sdk import operator_reading

        return [operator_reading.hold(message) for message in answer.holds]

    async def _set_hold(
        self, scope: Scope, tenant_id: str, name: str, reason: str, *, hold: bool
    ) -> None:
        from runtara_management_sdk import operator_reading

        request = pb.SetHoldRequest(
            scope=operator_reading.SCOPES[scope],
            tenant_id=tenant_id,
            name=name,
            reason=reason,
            hold=hold,
        )
        await self._transport.ask(pb.RpcRequest(set_hold=request))


class Queues:
    """Queues, and limits of open launches."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def put(self, queue: Queue) -> bool:
        """Create a queue, or replace its bounds; True if the queue is new."""
        period = queue.rate_period
        request = pb.PutQueueRequest(
            tenant_id=queue.tenant_id,
            name=queue.name,
            concurrency=queue.concurrency,
            concurrency_per_worker=queue.concurrency_per_worker,
            rate=queue.rate,
            rate_period_ms=None if period is None else period // timedelta(milliseconds=1),
        )
        answer = await self._transport.ask(pb.RpcRequest(put_queue=request))
        return bool(answer.created)

    async def list(self, tenant_id: str | None = None) -> Sequence[Queue]:
        """Return queues with their bounds, and the numbers of waiting and running instances."""
        request = pb.ListQueuesRequest(tenant_id=tenant_id)
        answer = await self._transport.ask(pb.RpcRequest(list_queues=request))
        from runtara_management_sdk import operator_reading

        return [operator_reading.queue(message) for message in answer.queues]

    async def delete(self, tenant_id: str, name: str) -> None:
        """Delete a queue; raises NotFound, and Conflict while open instances are in the queue."""
        request = pb.DeleteQueueRequest(tenant_id=tenant_id, name=name)
        await self._transport.ask(pb.RpcRequest(delete_queue=request))

    async def limit(
        self, scope: Scope, tenant_id: str, name: str = "", *, max_concurrent: int | None
    ) -> None:
        """Limit the open launches of a tenant or an image name; None removes the limit."""
        from runtara_management_sdk import operator_reading

        request = pb.PutLimitRequest(
            scope=operator_reading.SCOPES[scope],
            tenant_id=tenant_id,
            name=name,
            max_concurrent=max_concurrent,
        )
        await self._transport.ask(pb.RpcRequest(put_limit=request))

    async def limits(self, tenant_id: str | None = None) -> Sequence[Limit]:
        """Return limits with the numbers of their open launches."""
        request = pb.ListLimitsRequest(tenant_id=tenant_id)
        answer = await self._transport.ask(pb.RpcRequest(list_limits=request))
        from runtara_management_sdk import operator_reading

        return [operator_reading.limit(message) for message in answer.limits]


async def metrics(
    transport: Asks,
    tenant_id: str,
    since: datetime | None,
    until: datetime | None,
    granularity: Granularity | None,
) -> Sequence[MetricsBucket]:
    """Return counts and durations of finished instances for each hour or day; see the client."""
    from runtara_management_sdk import operator_reading
    from runtara_management_sdk.operator_records import Granularity

    request = pb.GetTenantMetricsRequest(
        tenant_id=tenant_id,
        start_time_ms=reading.to_milliseconds(since),
        end_time_ms=reading.to_milliseconds(until),
        granularity=operator_reading.GRANULARITIES[granularity or Granularity.HOURLY],
    )
    answer = await transport.ask(pb.RpcRequest(get_tenant_metrics=request))
    return [operator_reading.bucket(message) for message in answer.buckets]


def _environment(message: pb.Environment) -> Environment:
    """Read an environment or a worker."""
    from runtara_management_sdk.environment_records import Environment

    return Environment(
        environment_id=message.environment_id,
        kind=message.kind,
        machine=message.machine,
        version=message.version,
        capacity=message.capacity,
        open_launches=message.open_launches,
        started_at=reading.moment(message.started_at_ms),
        lease_until=reading.moment(message.lease_until_ms),
        clock_offset=timedelta(milliseconds=message.clock_offset_ms),
        is_draining=message.is_draining,
        workflows=tuple(message.workflows),
        tenant_id=reading.field(message, "tenant_id"),
    )
