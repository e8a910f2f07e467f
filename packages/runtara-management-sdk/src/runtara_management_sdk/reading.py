"""How parts of messages become those of records: times, optional fields, statuses, waits."""

from datetime import UTC, datetime, timedelta
from typing import Any

from runtara_management_sdk.states import Status, Waiting
from runtara_protocol.pb import environment_pb2 as pb

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
