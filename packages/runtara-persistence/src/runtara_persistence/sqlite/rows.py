"""Rows as records."""

from collections.abc import Sequence
from typing import Any

from runtara_domain.model import Checkpoint, Instance, Standing
from runtara_domain.status import InstanceStatus, State
from runtara_persistence.sqlite.moment import from_optional, from_text


def standing(status: str, sleep_until: str | None, run: int) -> Standing:
    """Build a standing from the columns that hold it."""
    return Standing(State.of(InstanceStatus(status), from_optional(sleep_until)), run)


def instance(row: Sequence[Any]) -> Instance:
    """Build an instance from its columns, in the order of the record's fields."""
    instance_id, tenant_id, status, run, checkpoint_id, created_at, *rest = row
    started_at, finished_at, sleep_until, last_activity_at, output, error = rest
    return Instance(
        instance_id=instance_id,
        tenant_id=tenant_id,
        status=InstanceStatus(status),
        run=run,
        checkpoint_id=checkpoint_id,
        created_at=from_text(created_at),
        started_at=from_optional(started_at),
        finished_at=from_optional(finished_at),
        sleep_until=from_optional(sleep_until),
        last_activity_at=from_optional(last_activity_at),
        output=output,
        error=error,
    )


def checkpoint(row: Sequence[Any]) -> Checkpoint:
    """Build a checkpoint from its columns, in the order of the record's fields."""
    checkpoint_id, state, created_at, wake_at = row
    return Checkpoint(checkpoint_id, state, from_text(created_at), from_optional(wake_at))
