"""Schedules as rows; the columns have the same names in every database."""

import json
from datetime import timedelta

from runtara_domain.model.schedules import (
    LocalTimeRule,
    Overlap,
    PausedBy,
    Schedule,
    StoredSchedule,
    Timing,
)
from runtara_persistence.records import Row, record

_MILLISECOND = timedelta(milliseconds=1)


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
    schedule = record(
        Schedule,
        row,
        timing=timing,
        overlap=Overlap(row["overlap"]),
        catch_up=row["catch_up_ms"] * _MILLISECOND,
        jitter=row["jitter_ms"] * _MILLISECOND,
    )
    paused_by = row["paused_by"]
    return record(
        StoredSchedule,
        row,
        schedule=schedule,
        is_declared=bool(row["is_declared"]),
        code_versions=tuple(json.loads(row["code_versions"])),
        paused_by=None if paused_by is None else PausedBy(paused_by),
    )
