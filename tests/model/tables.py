"""The model's tables, and the few words its steps are told in."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeAlias

from runtara_domain.model import Caller, Claim, Claimed, Event, Signal, Standing
from runtara_domain.status import InstanceStatus, State

Row: TypeAlias = dict[str, Any]

FINAL = {"completed", "failed", "cancelled"}
OPEN = {"pending", "running", "asleep", "paused"}
WORKING = {"running", "asleep"}


def state_of(row: Row) -> State:
    """SUSPENDED has two faces: asleep (`sleep_until` set) and paused (null)."""
    if row["status"] == "suspended":
        return State("paused" if row["sleep_until"] is None else "asleep")
    return State(row["status"])


def standing(row: Row) -> Standing:
    return Standing(state_of(row), row["run_epoch"])


def admits(before: Standing | None, caller: Caller, states: Collection[str]) -> bool:
    """A known instance in one of these states, asked by no older run than its newest."""
    if before is None or (caller.run is not None and caller.run < before.run):
        return False
    return before.state in states


def move(row: Row, to: State, at: datetime) -> None:
    """Leave sleep and claim behind; `finished_at` is set exactly in the final states."""
    row["status"] = InstanceStatus("suspended" if to == "paused" else to.value)
    row["sleep_until"] = row["wake_claim_until"] = row["wake_claim_by"] = None
    if to in FINAL:
        row["finished_at"] = at


def show_life(row: Row, at: datetime) -> None:
    """Activity never moves backward."""
    row["last_activity_at"] = max(at, row["last_activity_at"] or at)


def put_claim(row: Row, claim: Claim) -> None:
    row["wake_claim_by"], row["wake_claim_until"] = claim.token, claim.until


def is_claimed(row: Row, at: datetime) -> bool:
    """Somebody's claim runs: what was given back is nobody's, whatever the clock says."""
    if row["wake_claim_by"] is None or row["wake_claim_until"] is None:
        return False
    return bool(row["wake_claim_until"] > at)


def is_anothers(row: Row, token: str, at: datetime) -> bool:
    """The claim of another owner runs: an owner's name is what comes before a slash."""
    return is_claimed(row, at) and row["wake_claim_by"].split("/")[0] != token.split("/")[0]


def claimed(row: Row) -> Claimed:
    """What the environment gets to know of an instance it claimed."""
    names = ("instance_id", "tenant_id", "run_epoch", "checkpoint_id", "sleep_until")
    return Claimed(*(row[name] for name in names))


def is_one_of(signal: Signal | None, *types: str) -> bool:
    return signal is not None and signal.type in types


class Tables:
    """What is stored, keyed by what is unique; insertion is the order of ids."""

    def __init__(self) -> None:
        self.instances: dict[str, Row] = {}
        self.checkpoints: dict[tuple[str, str], Row] = {}
        self.events: list[Row] = []
        self.signals: dict[str, Row] = {}
        self.customs: dict[tuple[str, str], Row] = {}

    def tables(self) -> dict[str, list[Row]]:
        """All rows, by the tables' names."""
        return {
            "instances": list(self.instances.values()),
            "checkpoints": list(self.checkpoints.values()),
            "instance_events": self.events,
            "pending_signals": list(self.signals.values()),
            "pending_checkpoint_signals": list(self.customs.values()),
        }

    def pending(self, name: str) -> Signal | None:
        """The one signal not yet acknowledged."""
        row = self.signals.get(name)
        if row is None or row["acknowledged_at"] is not None:
            return None
        return Signal(row["signal_type"], row["payload"])

    def custom(self, name: str, checkpoint_id: str) -> bytes | None:
        row = self.customs.get((name, checkpoint_id))
        return None if row is None else row["payload"]

    def kept(self, name: str, checkpoint_id: str) -> Row | None:
        """A checkpoint; the audit row of a retry attempt is none."""
        row = self.checkpoints.get((name, checkpoint_id))
        return None if row is None or row["is_retry_attempt"] else row

    def due_since(self, name: str, at: datetime) -> datetime | None:
        """Asleep and over, or SUSPENDED with an unacknowledged cancel or resume."""
        row = self.instances[name]
        if row["status"] != "suspended":
            return None
        moments = []
        if row["sleep_until"] is not None and row["sleep_until"] <= at:
            moments.append(row["sleep_until"])
        if is_one_of(self.pending(name), "cancel", "resume"):
            moments.append(self.signals[name]["created_at"])
        return min(moments, default=None)

    def insert_instance(self, name: str, tenant: str, given: bytes | None, at: datetime) -> Row:
        columns = (
            "checkpoint_id started_at finished_at sleep_until output error memory_peak_bytes"
            " cpu_usage_usec stderr last_activity_at wake_claim_until wake_claim_by"
        )
        row: Row = dict.fromkeys(columns.split())
        row |= {"instance_id": name, "tenant_id": tenant, "input": given, "created_at": at}
        row |= {"status": InstanceStatus.PENDING, "run_epoch": 0}
        row |= {"definition_version": 1, "attempt": 1, "max_attempts": 3}
        self.instances[name] = row
        return row

    def insert_checkpoint(self, name: str, checkpoint_id: str, state: bytes, at: datetime) -> Row:
        row: Row = dict.fromkeys(("attempt_number", "error_message", "wake_at"))
        row |= {"instance_id": name, "checkpoint_id": checkpoint_id, "state": state}
        row |= {"created_at": at, "is_retry_attempt": False}
        self.checkpoints[name, checkpoint_id] = row
        return row

    def add_event(self, name: str, event: Event) -> None:
        row: Row = {"instance_id": name, "event_type": event.type, "payload": event.payload}
        row |= {"checkpoint_id": event.checkpoint_id, "subtype": event.subtype}
        self.events.append(row | {"created_at": event.created_at})
