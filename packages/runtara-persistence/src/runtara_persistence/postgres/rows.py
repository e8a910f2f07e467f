"""Builds records from rows, and parameters from records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg

from runtara_domain import model
from runtara_domain.status import InstanceStatus, SignalType, State

if TYPE_CHECKING:
    from runtara_domain.status import Condition


def states(when: Condition) -> list[str]:
    """Turn a condition into a parameter: an array of states."""
    return [state.value for state in when]


def states_text(when: Condition) -> str:
    """Turn a condition into text, as one element of an array of conditions."""
    return ",".join(states(when))


def run_state(row: asyncpg.Record) -> model.RunState:
    """Build an instance's state and run from the columns `state` and `run_epoch`."""
    return model.RunState(State(row["state"]), row["run_epoch"])


def signal(row: asyncpg.Record) -> model.Signal | None:
    """Build the pending signal from `signal_type` and `payload`; None if there is none."""
    if row["signal_type"] is None:
        return None
    return model.Signal(SignalType(row["signal_type"]), row["payload"] or b"")


def custom_signal(row: asyncpg.Record) -> bytes | None:
    """Return the payload of a custom signal; None if there is no signal."""
    return row["custom_signal"] or b"" if row["has_custom_signal"] else None


def custom_signals(row: asyncpg.Record) -> dict[str, bytes]:
    """Return the `payloads` of custom signals by their `checkpoint_ids`; it may be empty."""
    names, payloads = row["checkpoint_ids"] or (), row["payloads"] or ()
    return {name: payload or b"" for name, payload in zip(names, payloads, strict=True)}


def differences(row: asyncpg.Record) -> tuple[str, ...]:
    """Name the fields in which an instance differs from the child to be started."""
    names = ("parent", "workflow", "input")
    return tuple(name for name in names if not row[f"has_same_{name}"])


def summary(row: asyncpg.Record) -> model.InstanceSummary:
    """Build a summary from its columns."""
    return model.InstanceSummary(**_summary(row))


def instance(row: asyncpg.Record) -> model.Instance:
    """Build an instance from its columns."""
    return model.Instance(
        **_summary(row),
        output=row["output"],
        error=row["error"],
        stderr=row["stderr"],
        memory_peak_bytes=row["memory_peak_bytes"],
        cpu_usage_usec=row["cpu_usage_usec"],
    )


def claimed(row: asyncpg.Record) -> model.Claimed:
    """Build the record of a claimed instance that its claimer needs to launch it."""
    return model.Claimed(
        row["instance_id"],
        row["tenant_id"],
        row["run_epoch"],
        row["checkpoint_id"],
        row["sleep_until"],
    )


def checkpoint(row: asyncpg.Record) -> model.Checkpoint:
    """Build a checkpoint from its columns."""
    return model.Checkpoint(row["checkpoint_id"], row["state"], row["created_at"], row["wake_at"])


def entry(row: asyncpg.Record) -> model.CheckpointEntry:
    """Build a checkpoint's entry in a list; the columns have the names of its fields."""
    return model.CheckpointEntry(**row)


def event(row: asyncpg.Record) -> model.StoredEvent:
    """Build a stored event from its columns."""
    return model.StoredEvent(
        id=row["id"],
        instance_id=row["instance_id"],
        type=model.EventType(row["event_type"]),
        payload=row["payload"],
        created_at=row["created_at"],
        checkpoint_id=row["checkpoint_id"],
        subtype=row["subtype"],
    )


def _summary(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "instance_id": row["instance_id"],
        "tenant_id": row["tenant_id"],
        "status": InstanceStatus(row["status"]),
        "run": row["run_epoch"],
        "checkpoint_id": row["checkpoint_id"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "sleep_until": row["sleep_until"],
        "last_activity_at": row["last_activity_at"],
        "workflow": row["workflow"],
        "code_version": row["code_version"],
        "parent_id": row["parent_id"],
        "launch_id": row["launch_id"],
        "waits": row["waits"],
        "blocked_reason": row["blocked_reason"],
    }
