"""Schedules as rows; the columns have the same names in every database."""

import json
from datetime import timedelta
from typing import Any, Protocol

from runtara_domain.model.schedules import (
    LocalTimeRule,
    Overlap,
    PausedBy,
    Schedule,
    StoredSchedule,
    Timing,
)

_MILLISECOND = timedelta(milliseconds=1)


class Row(Protocol):
    """Columns by their names."""

    # `Any`, because a column holds text, bytes, numbers, times or null.
    def __getitem__(self, name: str, /) -> Any: ...


def columns(stored: StoredSchedule) -> dict[str, object]:
    """Return a schedule's columns by name; moments are datetimes, not text."""
    schedule = stored.schedule
    return {
        "tenant_id": schedule.tenant_id,
        "name": schedule.name,
        "workflow": schedule.workflow,
        "image_id": schedule.image_id,
        "cron": schedule.timing.cron,
        "time_zone": schedule.timing.time_zone,
        "missing": schedule.timing.missing.value,
        "duplicate": schedule.timing.duplicate.value,
        "overlap": schedule.overlap.value,
        "catch_up_ms": schedule.catch_up // _MILLISECOND,
        "jitter_ms": schedule.jitter // _MILLISECOND,
        "input": schedule.input,
        "queue": schedule.queue,
        "priority": schedule.priority,
        "revision": stored.revision,
        "created_at": stored.created_at,
        "is_declared": stored.is_declared,
        "code_versions": json.dumps(stored.code_versions, ensure_ascii=False),
        "paused_by": None if stored.paused_by is None else stored.paused_by.value,
        "pause_reason": stored.pause_reason,
        "next_tick_at": stored.next_tick_at,
        "last_tick_at": stored.last_tick_at,
        "last_instance_id": stored.last_instance_id,
        "buffered_tick_at": stored.buffered_tick_at,
        "problem": stored.problem,
    }


def schedule(row: Row) -> StoredSchedule:
    """Build a schedule from its columns; moments are datetimes, not text."""
    timing = Timing(
        row["cron"],
        row["time_zone"],
        LocalTimeRule(row["missing"]),
        LocalTimeRule(row["duplicate"]),
    )
    paused_by = row["paused_by"]
    return StoredSchedule(
        schedule=Schedule(
            tenant_id=row["tenant_id"],
            name=row["name"],
            timing=timing,
            workflow=row["workflow"],
            image_id=row["image_id"],
            overlap=Overlap(row["overlap"]),
            catch_up=row["catch_up_ms"] * _MILLISECOND,
            jitter=row["jitter_ms"] * _MILLISECOND,
            input=row["input"],
            queue=row["queue"],
            priority=row["priority"],
        ),
        revision=row["revision"],
        created_at=row["created_at"],
        is_declared=bool(row["is_declared"]),
        code_versions=tuple(json.loads(row["code_versions"])),
        paused_by=None if paused_by is None else PausedBy(paused_by),
        pause_reason=row["pause_reason"],
        next_tick_at=row["next_tick_at"],
        last_tick_at=row["last_tick_at"],
        last_instance_id=row["last_instance_id"],
        buffered_tick_at=row["buffered_tick_at"],
        problem=row["problem"],
    )
