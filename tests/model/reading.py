"""What the model answers to reads; rows of a list have no ids of their own here: each has 0."""

from collections.abc import Collection
from datetime import datetime

from tests.model.tables import OPEN, Row, Tables, admits, standing

from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointEntry,
    EventFilter,
    Instance,
    InstanceFilter,
    InstanceSummary,
    Pending,
    Standing,
    StoredEvent,
)

SHORT = 64 * 1024


class Reading(Tables):
    """The tables, with the ports' reads; lists are whole."""

    def instances_get(self, name: str) -> Instance | None:
        row = self.instances.get(name)
        if row is None:
            return None
        names = ["output", "error", "stderr", "memory_peak_bytes", "cpu_usage_usec"]
        return Instance(**_summed_up(row), **{name: row[name] for name in names})

    def instances_input(self, name: str) -> bytes | None:
        row = self.instances.get(name)
        return None if row is None else row["input"]

    def instances_standing(self, name: str) -> Standing | None:
        row = self.instances.get(name)
        return None if row is None else standing(row)

    def instances_standings(self, names: Collection[str]) -> dict[str, Standing]:
        return {name: standing(self.instances[name]) for name in names if name in self.instances}

    def instances_page(self, which: InstanceFilter) -> list[InstanceSummary]:
        """Newest first, ties by id."""
        found = [_summary(row) for row in self._chosen(which)]
        return sorted(found, key=lambda one: (-one.created_at.timestamp(), one.instance_id))

    def instances_count(self, which: InstanceFilter) -> int:
        return len(self._chosen(which))

    def instances_silent(self, since: datetime, *, limit: int) -> list[InstanceSummary]:
        """Silent since means coalesce(last_activity_at, started_at, created_at)."""
        heard = [
            (row["last_activity_at"] or row["started_at"] or row["created_at"], name)
            for name, row in self.instances.items()
            if row["status"] == "running"
        ]
        names = [name for at, name in sorted(heard) if at < since]
        return [_summary(self.instances[name]) for name in names[:limit]]

    def checkpoints_get(self, name: str, checkpoint_id: str) -> Checkpoint | None:
        row = self.kept(name, checkpoint_id)
        if row is None:
            return None
        return Checkpoint(checkpoint_id, row["state"], row["created_at"], row["wake_at"])

    def checkpoints_page(self, name: str) -> list[CheckpointEntry]:
        """In order of saving, with states up to 64 KiB and the attempts recorded for them."""
        rows = [row for key, row in self.checkpoints.items() if key[0] == name]
        return [self._entry(row) for row in rows if not row["is_retry_attempt"]]

    def checkpoints_count(self, name: str) -> int:
        return len(self.checkpoints_page(name))

    def events_page(self, which: EventFilter) -> list[StoredEvent]:
        names = ["instance_id", "payload", "created_at", "checkpoint_id", "subtype"]
        return [
            StoredEvent(id=0, type=row["event_type"], **{name: row[name] for name in names})
            for row in self.events
            if _fits(row, which)
        ]

    def events_count(self, which: EventFilter) -> int:
        return len(self.events_page(which))

    def signals_pending(self, caller: Caller, checkpoint_ids: Collection[str] = ()) -> Pending:
        """Nothing for unknown and finished instances, and for older runs."""
        name = caller.instance_id
        before = self.instances_standing(name)
        if before is None or not admits(before, caller, OPEN):
            return Pending(before)
        sent = {each: self.custom(name, each) for each in checkpoint_ids}
        customs = {each: payload for each, payload in sent.items() if payload is not None}
        return Pending(before, self.pending(name), customs)

    def _chosen(self, which: InstanceFilter) -> list[Row]:
        return [
            row
            for row in self.instances.values()
            if which.tenant_id in (None, row["tenant_id"]) and which.status in (None, row["status"])
        ]

    def _entry(self, row: Row) -> CheckpointEntry:
        name, checkpoint_id = row["instance_id"], row["checkpoint_id"]
        attempts = [
            other["created_at"]
            for other in self.checkpoints.values()
            if other["instance_id"] == name
            and other["checkpoint_id"] == f"{checkpoint_id}::retry::{other['attempt_number']}"
        ]
        return CheckpointEntry(
            id=0,
            checkpoint_id=checkpoint_id,
            state=row["state"] if len(row["state"]) <= SHORT else None,
            created_at=row["created_at"],
            failed_attempts=len(attempts),
            last_attempt_at=max(attempts, default=None),
            wake_at=row["wake_at"],
        )


def _summed_up(row: Row) -> Row:
    names = (
        "instance_id tenant_id status checkpoint_id created_at started_at finished_at sleep_until"
        " last_activity_at"
    )
    return {name: row[name] for name in names.split()} | {"run": row["run_epoch"]}


def _summary(row: Row) -> InstanceSummary:
    return InstanceSummary(**_summed_up(row))


def _fits(row: Row, which: EventFilter) -> bool:
    return (
        row["instance_id"] == which.instance_id
        and which.type in (None, row["event_type"])
        and which.subtype in (None, row["subtype"])
        and (which.since is None or row["created_at"] >= which.since)
        and (which.until is None or row["created_at"] < which.until)
        and (which.text is None or which.text.encode() in row["payload"])
    )
