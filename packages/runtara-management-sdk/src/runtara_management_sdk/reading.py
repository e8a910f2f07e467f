"""How messages become records, and filters requests: times, optional fields, lists."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from runtara_management_sdk.list_records import InstanceFilter, InstanceSummary, Status, Waiting
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import RequestNotKnown

_FIRST_NEWER = 100
"""Every environment knows the fields of requests below this number."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUSES = {
    Status.UNKNOWN: pb.STATUS_UNKNOWN,
    Status.PENDING: pb.STATUS_PENDING,
    Status.RUNNING: pb.STATUS_RUNNING,
    Status.SUSPENDED: pb.STATUS_SUSPENDED,
    Status.COMPLETED: pb.STATUS_COMPLETED,
    Status.FAILED: pb.STATUS_FAILED,
    Status.CANCELLED: pb.STATUS_CANCELLED,
}
_STATUS_OF: dict[int, Status] = {number: word for word, number in STATUSES.items()}


def moment(milliseconds: int) -> datetime:
    """Return milliseconds since 1970 as a datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_milliseconds(when: datetime | None) -> int | None:
    """Return a datetime as milliseconds since 1970; None stays None."""
    return None if when is None else (when - _EPOCH) // timedelta(milliseconds=1)


def field(message: Any, name: str) -> Any:
    """Return an optional field's value; None if it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def time(message: Any, name: str) -> datetime | None:
    """Return an optional time field as a datetime; None if it is absent."""
    return moment(getattr(message, name)) if message.HasField(name) else None


def status(number: int) -> Status:
    """Return the status of a number; UNKNOWN for one that a newer environment knows."""
    return _STATUS_OF.get(number, Status.UNKNOWN)


def waiting(message: pb.Waiting) -> Waiting:
    """Read a wait of an instance."""
    return Waiting(
        message.kind,
        message.name,
        time(message, "since_ms"),
        time(message, "until_ms"),
        message.reason,
    )


def summary(message: pb.InstanceSummary) -> InstanceSummary:
    """Read an instance's summary from a list."""
    return InstanceSummary(
        instance_id=message.instance_id,
        tenant_id=message.tenant_id,
        status=status(message.status),
        created_at=moment(message.created_at_ms),
        image_id=message.image_id or None,
        workflow=field(message, "workflow"),
        started_at=time(message, "started_at_ms"),
        finished_at=time(message, "finished_at_ms"),
        has_error=message.has_error,
        error=field(message, "error"),
        waiting_for=tuple(map(waiting, message.waiting_for)),
        next_at=time(message, "next_ms"),
        is_blocked=message.blocked,
        queue=field(message, "queue"),
    )


def listing(which: InstanceFilter, order_by: str | None, limit: int) -> pb.ListInstancesRequest:
    """Return the request for the first page of a list."""
    return pb.ListInstancesRequest(
        tenant_id=which.tenant_id,
        status=None if which.status is None else STATUSES[which.status],
        limit=limit,
        image_id=which.image_id,
        created_after_ms=to_milliseconds(which.created_after),
        created_before_ms=to_milliseconds(which.created_before),
        finished_after_ms=to_milliseconds(which.finished_after),
        finished_before_ms=to_milliseconds(which.finished_before),
        order_by=order_by,
        image_name_prefix=which.image_name_prefix,
        workflow=which.workflow,
        error_contains=which.error_contains,
        blocked=which.is_blocked,
        queue=which.queue,
        parent_id=which.parent_id,
    )


def newer_fields(request: pb.ListInstancesRequest) -> Mapping[int, str]:
    """Return the names of the request's fields that older environments ignore, by their numbers."""
    sent = [field for field, _ in request.ListFields()]
    return {field.number: field.name for field in sent if field.number >= _FIRST_NEWER}


def require_known(filters: Mapping[int, str], answer: pb.ListInstancesResponse) -> None:
    """Raise RequestNotKnown if the environment has ignored one of these filters."""
    ignored = [filters[number] for number in filters if number not in answer.known_fields]
    if ignored:
        raise RequestNotKnown(f"the environment can't filter instances by {', '.join(ignored)}")
