"""Records as JSON, for `--json`."""

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any


def document(value: object) -> Any:
    """
    Return a record as an object for JSON.

    Fields keep their names. Times are ISO 8601 in UTC, durations are seconds. Bytes are their JSON
    value if they are JSON, else text, else an object `{"base64": …}`.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return content(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): document(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [document(each) for each in value]
    if is_dataclass(value):
        return {field.name: document(getattr(value, field.name)) for field in fields(value)}
    return value


def content(value: bytes) -> Any:
    """Read bytes of a workflow: JSON, text, or neither."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def line(value: object) -> str:
    """Write a record as one line of JSON."""
    return json.dumps(document(value), ensure_ascii=False)
