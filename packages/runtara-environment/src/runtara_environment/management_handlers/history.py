"""Checkpoints and events of instances, and a tenant's metrics."""

from __future__ import annotations

from collections.abc import Sized
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.error import InstanceNotFound, InvalidValue
from runtara_domain.model import CheckpointFilter, EventFilter
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_environment.management import Management, ManagementRequest

_PERIODS = {pb.GRANULARITY_HOURLY: timedelta(hours=1), pb.GRANULARITY_DAILY: timedelta(days=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BUCKETS = 10_000
_LARGEST_LISTED = 64 * 1024
"""Bytes of a checkpoint that a list brings along."""
_MOST_LISTED = 100
"""Checkpoints of a list that brings their bytes along."""


async def get_checkpoint(
    core: Management, request: ManagementRequest, message: pb.GetCheckpointRequest
) -> pb.RpcResponse:
    """Read a checkpoint with its bytes; a missing one is no error."""
    values.check_id("instance_id", message.instance_id)
    checkpoint_id = translation.required(message, "checkpoint_id")
    found = await core.persistence.checkpoints.get(message.instance_id, checkpoint_id)
    return pb.RpcResponse(
        get_checkpoint=pb.GetCheckpointResponse(
            found=found is not None,
            checkpoint_id=checkpoint_id,
            instance_id=message.instance_id,
            created_at_ms=0 if found is None else translation.milliseconds(found.created_at),
            data=b"" if found is None else found.state,
        )
    )


async def list_events(
    core: Management, request: ManagementRequest, message: pb.ListEventsRequest
) -> pb.RpcResponse:
    """List an instance's events in the order of storing."""
    values.check_id("instance_id", message.instance_id)
    kind = translation.optional(message, "event_type")
    which = EventFilter(
        message.instance_id,
        type=None if kind is None else translation.event_type(kind),
        subtype=translation.optional(message, "subtype"),
        since=translation.moment(message, "created_after_ms"),
        until=translation.moment(message, "created_before_ms"),
        text=translation.optional(message, "payload_contains"),
    )
    limit, events = translation.limit(message), core.persistence.events
    page = await events.page(which, limit=limit, offset=message.offset)
    if not page:
        await _require(core, message.instance_id)
    total = _total(page, limit, message.offset)
    return pb.RpcResponse(
        list_events=pb.ListEventsResponse(
            events=map(translation.event, page),
            total_count=await events.count(which) if total is None else total,
            limit=limit,
            offset=message.offset,
        )
    )


async def list_checkpoints(
    core: Management, request: ManagementRequest, message: pb.ListCheckpointsRequest
) -> pb.RpcResponse:
    """List an instance's checkpoints, newest first, with the bytes of small ones if asked for."""
    values.check_id("instance_id", message.instance_id)
    which = CheckpointFilter(
        message.instance_id,
        checkpoint_id=translation.optional(message, "checkpoint_id"),
        since=translation.moment(message, "created_after_ms"),
        until=translation.moment(message, "created_before_ms"),
    )
    limit, largest = translation.limit(message), message.largest_data_bytes
    if largest:
        values.check_range("largest_data_bytes", largest, 0, _LARGEST_LISTED)
        limit = min(limit, _MOST_LISTED)
    checkpoints = core.persistence.checkpoints
    page = await checkpoints.newest(
        which, offset=message.offset, limit=limit, largest_state=largest or None
    )
    if not page:
        await _require(core, message.instance_id)
    total = _total(page, limit, message.offset)
    return pb.RpcResponse(
        list_checkpoints=pb.ListCheckpointsResponse(
            checkpoints=[
                pb.CheckpointSummary(
                    checkpoint_id=one.checkpoint_id,
                    instance_id=message.instance_id,
                    created_at_ms=translation.milliseconds(one.created_at),
                    data_size_bytes=one.size_bytes,
                    data=one.state,
                )
                for one in page
            ],
            total_count=await checkpoints.count(which) if total is None else total,
            limit=limit,
            offset=message.offset,
        )
    )


async def get_tenant_metrics(
    core: Management, request: ManagementRequest, message: pb.GetTenantMetricsRequest
) -> pb.RpcResponse:
    """Sum up the instances that finished in each hour or day; by default of the last day."""
    tenant_id = translation.required(message, "tenant_id")
    period = _PERIODS.get(message.granularity)
    if period is None:
        raise InvalidValue(
            f"granularity: takes 0 (GRANULARITY_HOURLY), 1 (GRANULARITY_DAILY),"
            f" got {message.granularity}"
        )
    until = translation.moment(message, "end_time_ms") or core.launcher.now()
    since = translation.moment(message, "start_time_ms") or until - timedelta(days=1)
    first = _EPOCH + (since - _EPOCH) // period * period
    count = max(0, -((first - until) // period))
    if count > _MAX_BUCKETS:
        raise InvalidValue(
            f"start_time_ms: takes at most {_MAX_BUCKETS} buckets before the end, got {count}"
        )
    found = await core.persistence.launches.metrics(
        tenant_id, since=first, until=until, period=period
    )
    by_start = {one.start: one for one in found}
    starts = [first + number * period for number in range(count)]
    return pb.RpcResponse(
        get_tenant_metrics=pb.GetTenantMetricsResponse(
            tenant_id=tenant_id,
            start_time_ms=translation.milliseconds(since),
            end_time_ms=translation.milliseconds(until),
            granularity=message.granularity,
            buckets=[translation.bucket(start, by_start.get(start)) for start in starts],
        )
    )


def _total(page: Sized, limit: int, offset: int) -> int | None:
    """Return the number of records on all pages if a page says it; None if they must be counted."""
    is_last = len(page) < limit and (len(page) > 0 or offset == 0)
    return offset + len(page) if is_last else None


async def _require(core: Management, instance_id: str) -> None:
    if await core.persistence.instances.get(instance_id) is None:
        raise InstanceNotFound(instance_id)
