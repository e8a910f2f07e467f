"""
Records with the field names of the wire, as `runtara-ctl` prints them.

The fields are those of the messages that clients of the Rust server know. A field without a value
is left out. A status and a runner type are words in lower case (`completed`, `oci`); input and
output are printed as their JSON values.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from runtara_cli import documents
from runtara_management_sdk import Health, Image, Instance, InstanceSummary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIMES = {
    "created_at_ms": "created_at",
    "started_at_ms": "started_at",
    "finished_at_ms": "finished_at",
}
_INSTANCE = (
    "status", "checkpoint_id", "output", "error", "image_id", "image_name", "tenant_id", "input",
    "memory_peak_bytes", "cpu_usage_usec", "stderr",
)  # fmt: skip
_FIELDS: dict[type, dict[str, str]] = {
    Health: {
        "healthy": "is_healthy",
        "version": "version",
        "uptime_ms": "uptime",
        "active_instances": "open_launches",
    },
    Image: {
        "image_id": "image_id",
        "tenant_id": "tenant_id",
        "name": "name",
        "description": "description",
        "runner_type": "runner",
        "created_at_ms": "created_at",
    },
    Instance: {
        "instance_id": "instance_id",
        **{name: name for name in _INSTANCE},
        **_TIMES,
        "heartbeat_at_ms": "last_activity_at",
        "retry_count": "attempt",
        "max_retries": "max_attempts",
    },
    InstanceSummary: {
        **{name: name for name in ("instance_id", "tenant_id", "image_id", "status", "has_error")},
        **_TIMES,
    },
}


def document(value: object) -> Any:
    """Return a record, a list of records, or a JSON value as an object for JSON."""
    if isinstance(value, list):
        return [document(each) for each in value]
    names = _FIELDS.get(type(value))
    return documents.document(value) if names is None else dict(_told(value, names))


def _told(record: object, names: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, attribute in names.items():
        value = getattr(record, attribute)
        if isinstance(value, datetime):
            yield name, (value - _EPOCH) // _MILLISECOND
        elif isinstance(value, timedelta):
            yield name, value // _MILLISECOND
        elif value is not None:
            yield name, documents.document(value)
