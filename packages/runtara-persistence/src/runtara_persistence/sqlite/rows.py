"""Builds records from rows; writes moments as text in UTC with milliseconds, sorted as in time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from runtara_domain.model import (
    Checkpoint,
    CheckpointEntry,
    Claimed,
    EventType,
    Instance,
    InstanceSummary,
    RunState,
    Signal,
    StoredEvent,
)
from runtara_domain.status import InstanceStatus, SignalType, State

# States by status and whether there is a deadline: a table, because each step looks one up.
_STATES: Mapping[tuple[str, bool], State] = MappingProxyType(
    {
        (status.value, is_timed): State.of(status, datetime.max if is_timed else None)
        for status in InstanceStatus
        for is_timed in (False, True)
    }
)


def to_text(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`; parts of a millisecond are cut off."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def from_text(text: str) -> datetime:
    """Read any ISO 8601 moment, as other programs may write it; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_optional(text: str | None) -> datetime | None:
    """Read a moment from a column that may be null; None if it is."""
    return None if text is None else from_text(text)


def state(status: str, sleep_until: str | None) -> State:
    """Build a state from an instance's status and deadline."""
    return _STATES[status, sleep_until is not None]


def run_state(status: str, sleep_until: str | None, run: int) -> RunState:
    """Build a state and run from an instance's status, deadline and run number."""
    return RunState(state(status, sleep_until), run)


def summary(row: Sequence[Any]) -> InstanceSummary:
    """Build a summary from its columns, in the order of the record's fields."""
    return InstanceSummary(**_summary(row))


def instance(row: Sequence[Any]) -> Instance:
    """Build an instance from its columns, in the order of the record's fields."""
    *head, output, error, stderr, memory_peak_bytes, cpu_usage_usec = row
    return Instance(
        **_summary(head),
        output=output,
        error=error,
        stderr=stderr,
        memory_peak_bytes=memory_peak_bytes,
        cpu_usage_usec=cpu_usage_usec,
    )


def claimed(row: Sequence[Any]) -> Claimed:
    """Build a claimed instance from its columns, in the order of the record's fields."""
    instance_id, tenant_id, run, checkpoint_id, sleep_until = row
    return Claimed(instance_id, tenant_id, run, checkpoint_id, from_optional(sleep_until))


def checkpoint(row: Sequence[Any]) -> Checkpoint:
    """Build a checkpoint from its columns, in the order of the record's fields."""
    checkpoint_id, state, created_at, wake_at = row
    return Checkpoint(checkpoint_id, state, from_text(created_at), from_optional(wake_at))


def entry(row: Sequence[Any]) -> CheckpointEntry:
    """Build an entry of a list from its columns, in the order of the record's fields."""
    row_id, checkpoint_id, state, created_at, failed_attempts, last_attempt_at, wake_at = row
    return CheckpointEntry(
        id=row_id,
        checkpoint_id=checkpoint_id,
        state=state,
        created_at=from_text(created_at),
        failed_attempts=failed_attempts,
        last_attempt_at=from_optional(last_attempt_at),
        wake_at=from_optional(wake_at),
    )


def event(row: Sequence[Any]) -> StoredEvent:
    """Build a stored event from its columns, in the order of the record's fields."""
    row_id, instance_id, event_type, payload, created_at, checkpoint_id, subtype = row
    return StoredEvent(
        id=row_id,
        instance_id=instance_id,
        type=EventType(event_type),
        payload=payload,
        created_at=from_text(created_at),
        checkpoint_id=checkpoint_id,
        subtype=subtype,
    )


def signal(signal_type: str | None, payload: bytes) -> Signal | None:
    """Build a pending signal from the columns of an outer join; None if there is none."""
    return None if signal_type is None else Signal(SignalType(signal_type), payload)


def _summary(row: Sequence[Any]) -> dict[str, Any]:
    instance_id, tenant_id, status, run, checkpoint_id, created_at, *rest = row
    started_at, finished_at, sleep_until, last_activity_at = map(from_optional, rest[:4])
    workflow, code_version, parent_id, launch_id, waits, blocked_reason = rest[4:]
    return {
        "instance_id": instance_id,
        "tenant_id": tenant_id,
        "status": InstanceStatus(status),
        "run": run,
        "checkpoint_id": checkpoint_id,
        "created_at": from_text(created_at),
        "started_at": started_at,
        "finished_at": finished_at,
        "sleep_until": sleep_until,
        "last_activity_at": last_activity_at,
        "workflow": workflow,
        "code_version": code_version,
        "parent_id": parent_id,
        "launch_id": launch_id,
        "waits": waits,
        "blocked_reason": blocked_reason,
    }
