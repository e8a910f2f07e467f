"""Reads stored JSON, and makes checks, in the same way for every database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtara_domain.error import InvalidValue
from runtara_domain.values import LONGEST_TIMEOUT

if TYPE_CHECKING:
    from runtara_domain.model import InstanceFilter
    from runtara_domain.model.images import NewImage
    from runtara_domain.model.launches import InstanceStart
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.summaries import InstanceSummary

_TIMEOUT = "timeout_s"
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_MS = LONGEST_TIMEOUT // _MILLISECOND


def kind(which: InstanceFilter) -> str:
    """Name the filter by whose index instances are found; the other filters are then checked."""
    if which.parent_id is not None:
        return "of_parent"
    if which.blocked:
        return "blocked"
    if which.workflow is not None:
        return "of_workflow"
    if which.tenant_id is not None:
        return "of_tenant" if which.status is None else "of_tenant_in_status"
    return "any" if which.status is None else "in_status"


def metadata(text: str | None) -> Mapping[str, object]:
    """Read an image's metadata; other programs' text that is no JSON object counts as empty."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def env(text: str | None) -> dict[str, str]:
    """Read variables; values that other programs stored and that are no text are ignored."""
    found = metadata(text)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def started(start: InstanceStart) -> dict[str, Any]:
    """Return the columns of an instance that is started, but for the time of its start."""
    timeout = start.timeout
    return {
        "instance_id": start.instance_id,
        "tenant_id": start.tenant_id,
        "input": start.input or None,
        "image_id": start.image_id,
        "workflow": start.workflow,
        "priority": start.priority,
        "launch_after": start.launch_after,
        "timeout_ms": None if timeout is None else max(1, timeout // _MILLISECOND),
        "queue": start.queue,
        "dedupe_key": start.dedupe_key,
        "env": json.dumps(dict(start.env), ensure_ascii=False) if start.env else None,
    }


def start_timeout(started_with_ms: int | None) -> timedelta | None:
    """Read a start's timeout for launches; a value of another program out of range is clamped."""
    if started_with_ms is None:
        return None
    return min(max(started_with_ms, 0), _LONGEST_MS) * _MILLISECOND


def timeout(started_with_ms: int | None, image: Image | None) -> timedelta | None:
    """Return how long a launch may take: the smaller timeout of the start's and the image's."""
    seconds = None if image is None else image.metadata.get(_TIMEOUT)
    given = start_timeout(started_with_ms)
    bounds = [] if given is None else [given]
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
        bounds.append(timedelta(seconds=min(seconds, _LONGEST_S)))
    return min(bounds, default=None)


def check_upload(new: NewImage, chunks: int, last_position: int, size: int) -> None:
    """Refuse an upload if chunks are missing, or its size is not the stated one."""
    if chunks != last_position + 1:
        raise InvalidValue(
            f"upload: takes all chunks, got {chunks}, the last of position {last_position}"
        )
    if size != new.size_bytes:
        raise InvalidValue(f"upload: has {size} bytes, but size_bytes states {new.size_bytes}")


_LONGEST_S = 36_525 * 86_400


def is_same_image(known: Image, new: NewImage) -> bool:
    """Return whether an image has the new one's bytes, runner and metadata."""
    return (known.sha256, known.size_bytes, known.runner_type, known.metadata) == (
        new.sha256,
        new.size_bytes,
        new.runner_type,
        new.metadata,
    )


def differences(
    asked: InstanceStart,
    asked_name: str | None,
    tenant_id: str,
    workflow: str | None,
    given: bytes | None,
    image_id: str | None,
    image_tenant_id: str | None,
    image_name: str | None,
) -> tuple[str, ...]:
    """Name the fields in which an instance differs from a start; `*_name`: the image's name."""
    if asked.image_id is None:
        runs_same = workflow == asked.workflow
    else:
        has_same_name = image_name is not None and image_name == asked_name
        is_own = image_tenant_id == asked.tenant_id
        runs_same = image_id == asked.image_id or (has_same_name and is_own)
    same = {
        "tenant": tenant_id == asked.tenant_id,
        "image" if asked.workflow is None else "workflow": runs_same,
        "input": (given or None) == (asked.input or None),
    }
    return tuple(name for name, is_same in same.items() if not is_same)


def next_at(summary: InstanceSummary, launch_after: datetime | None) -> datetime | None:
    """Return the later of an instance's deadline and its launch delay; None: it has neither."""
    is_waiting = summary.launch_id is None and not summary.state.is_final
    moments = [summary.sleep_until, launch_after if is_waiting else None]
    return max((each for each in moments if each is not None), default=None)


def bucket(
    start: datetime,
    completed: int,
    failed: int,
    cancelled: int,
    average_ms: float | None,
    shortest_ms: int | None,
    longest_ms: int | None,
    memory_sum: int | None,
    memory_count: int,
    max_memory_bytes: int | None,
) -> MetricsBucket:
    """Build a bucket of metrics from its sums; durations are in milliseconds."""
    from runtara_domain.model.metrics import MetricsBucket

    def span(milliseconds: float | None) -> timedelta | None:
        return None if milliseconds is None else timedelta(milliseconds=int(milliseconds))

    return MetricsBucket(
        start=start,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        average_duration=span(average_ms),
        shortest=span(shortest_ms),
        longest=span(longest_ms),
        average_memory_bytes=int(memory_sum) // memory_count if memory_sum is not None else None,
        max_memory_bytes=max_memory_bytes,
    )
