"""How filters become requests of lists of instances, and their answers records."""

from collections.abc import Mapping

from runtara_management_sdk import reading
from runtara_management_sdk.list_records import InstanceFilter, InstanceSummary
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import RequestNotKnown

_FIRST_NEWER = 100
"""Every environment knows the fields of requests below this number."""


def listing(
    which: InstanceFilter | None, order_by: str | None, limit: int
) -> pb.ListInstancesRequest:
    """Return the request for the first page of a list; without a filter, of all instances."""
    which = which or InstanceFilter()
    return pb.ListInstancesRequest(
        tenant_id=which.tenant_id,
        status=None if which.status is None else reading.STATUSES[which.status],
        limit=limit,
        image_id=which.image_id,
        created_after_ms=reading.to_milliseconds(which.created_after),
        created_before_ms=reading.to_milliseconds(which.created_before),
        finished_after_ms=reading.to_milliseconds(which.finished_after),
        finished_before_ms=reading.to_milliseconds(which.finished_before),
        order_by=order_by,
        image_name_prefix=which.image_name_prefix,
        workflow=which.workflow,
        error_contains=which.error_contains,
        blocked=which.is_blocked,
        queue=which.queue,
        parent_id=which.parent_id,
    )


def summary(message: pb.InstanceSummary) -> InstanceSummary:
    """Read an instance's summary from a list."""
    return InstanceSummary(
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        status=reading.status(message.status),
        created_at=reading.moment(message.created_at_ms),
        image_id=message.image_id or None,
        workflow=reading.field(message, "workflow"),
        started_at=reading.time(message, "started_at_ms"),
        finished_at=reading.time(message, "finished_at_ms"),
        has_error=message.has_error,
        error=reading.field(message, "error"),
        waiting_for=tuple(map(reading.waiting, message.waiting_for)),
        next_at=reading.time(message, "next_ms"),
        is_blocked=message.blocked,
        queue=reading.field(message, "queue"),
    )


def newer_fields(request: pb.ListInstancesRequest) -> Mapping[int, str]:
    """Return the names of the request's fields that older environments ignore, by their numbers."""
    sent = [field for field, _ in request.ListFields()]
    return {field.number: field.name for field in sent if field.number >= _FIRST_NEWER}


def require_known(filters: Mapping[int, str], answer: pb.ListInstancesResponse) -> None:
    """Raise RequestNotKnown if the environment does not say that it knows all these filters."""
    unknown = [filters[number] for number in filters if number not in answer.known_fields]
    if unknown:
        raise RequestNotKnown(
            f"the environment does not confirm that it filters by {', '.join(unknown)}, so the list"
            " could be too wide: update the environment, or ask without this filter"
        )
