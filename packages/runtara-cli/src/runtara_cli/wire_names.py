"""
Records by the names that the wire has for them: what `runtara-ctl` prints.

The names, and which there are, are those of the messages that the original's clients know. What an
instance doesn't have is left out. How the original writes values is not known: a status and a
runner type are words in lower case (`completed`, `oci`), input and output the JSON that they hold.
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
    """Give what JSON can hold of a record, of a list of them, or of what is JSON already."""
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
