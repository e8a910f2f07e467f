"""
The model: what core.md promises, as steps on dictionaries.

It knows none of our code but the records that go in and come out. Each method is one step of a
port, named noun_method, to be read beside the sentence it stands for. The states in which a step
applies are written down here once more: the adapters get theirs from the domain's table.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from tests.model.tables import (
    OPEN,
    WORKING,
    Row,
    admits,
    claimed,
    is_anothers,
    is_claimed,
    is_one_of,
    move,
    put_claim,
    show_life,
    standing,
    state_of,
)
from tests.model.telling import Telling

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    Claimed,
    Ending,
    Event,
    EventType,
    NewInstance,
    Registered,
    Registration,
    RetryAttempt,
    Saved,
    Sleep,
    Slept,
    Standing,
    Woken,
)
from runtara_domain.status import State

CENTURY = timedelta(days=36_525)


class Reference(Telling):
    """The core, empty at first."""

    # Instances

    def instances_create(self, new: NewInstance, *, at: datetime) -> bool:
        if new.instance_id in self.instances:
            return False
        self.insert_instance(new.instance_id, new.tenant_id, new.input, at)
        return True

    def instances_register(self, asked: Registration, *, at: datetime) -> Registered:
        name, tenant = asked.instance_id, asked.tenant_id
        exists = asked.checkpoint_id is None or self.kept(name, asked.checkpoint_id) is not None
        row = self.instances.get(name)
        if row is None:
            if not exists or asked.continue_run is not None:
                return Registered(None, tenant, exists, run=0)
            self._begin_run(self.insert_instance(name, tenant, None, at), at)
            return Registered(None, tenant, exists, run=1)
        before = standing(row)
        if (
            row["tenant_id"] == tenant
            and before.state in OPEN
            and exists
            and asked.continue_run is None
        ):
            self._begin_run(row, at)
        return Registered(before, row["tenant_id"], exists, row["run_epoch"], row["input"])

    def instances_touch(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        for caller in callers:
            before = self.instances_standing(caller.instance_id)
            if admits(before, caller, OPEN):
                show_life(self.instances[caller.instance_id], at)
        return set()

    def instances_finish(self, caller: Caller, ending: Ending, *, at: datetime) -> Standing | None:
        before = self.instances_standing(caller.instance_id)
        if admits(before, caller, OPEN):
            row = self.instances[caller.instance_id]
            row["output"], row["error"], row["stderr"] = ending.output, ending.error, ending.stderr
            row["memory_peak_bytes"] = ending.memory_peak_bytes
            row["cpu_usage_usec"] = ending.cpu_usage_usec
            move(row, ending.state, at)
        return before

    def instances_claim_due(
        self, claim: Claim, *, limit: int, at: datetime, among: Collection[str] | None = None
    ) -> list[Claimed]:
        waiting = []
        for name, row in self.instances.items():
            due = self.due_since(name, at)
            until = row["wake_claim_until"]
            is_seen = among is None or name in among
            if is_seen and due is not None and not is_claimed(row, at):
                waiting.append((max(due, until or due), name))
        names = [name for _, name in sorted(waiting)[:limit]]
        for name in names:
            put_claim(self.instances[name], claim)
        return [claimed(self.instances[name]) for name in names]

    def instances_renew_claims(
        self, claim: Claim, sleepers: Mapping[Caller, datetime | None], *, at: datetime
    ) -> dict[str, Standing]:
        standings = self.instances_standings([one.instance_id for one in sleepers])
        for caller, moment in sleepers.items():
            before = standings.get(caller.instance_id)
            if admits(before, caller, {"asleep"}):
                row = self.instances[caller.instance_id]
                if not is_anothers(row, claim.token, at):
                    row["sleep_until"] = min(row["sleep_until"], moment or row["sleep_until"])
                    half_way = at + (claim.until - at) / 2
                    if row["wake_claim_by"] == claim.token or not is_claimed(row, half_way):
                        put_claim(row, claim)
        return standings

    def instances_release_claims(
        self, token: str, names: Collection[str], *, at: datetime
    ) -> set[str]:
        for name in names:
            row = self.instances.get(name)
            if row is not None and row["wake_claim_by"] == token:
                row["wake_claim_by"], row["wake_claim_until"] = None, at
        return set()

    def instances_wake(self, caller: Caller, *, token: str, at: datetime) -> Woken:
        before = self.instances_standing(caller.instance_id)
        if before is None:
            return Woken(None, woken=False)
        row = self.instances[caller.instance_id]
        if is_anothers(row, token, at):
            return Woken(before, woken=False, claimed_until=row["wake_claim_until"])
        if not admits(before, caller, {"asleep"}):
            return Woken(before, woken=False)
        move(row, State.RUNNING, at)
        show_life(row, at)
        return Woken(before, woken=True)

    def instances_prune(self, finished_before: datetime) -> int:
        old = {
            name
            for name, row in self.instances.items()
            if row["finished_at"] is not None and row["finished_at"] < finished_before
        }
        for table in (self.instances, self.signals):
            for name in old & set(table):
                del table[name]
        self.checkpoints = {k: row for k, row in self.checkpoints.items() if k[0] not in old}
        self.customs = {k: row for k, row in self.customs.items() if k[0] not in old}
        self.events = [row for row in self.events if row["instance_id"] not in old]
        return len(old)

    # Checkpoints

    def checkpoints_save(self, caller: Caller, write: CheckpointWrite, *, at: datetime) -> Saved:
        name, checkpoint_id = caller.instance_id, write.checkpoint_id
        before = self.instances_standing(name)
        if not admits(before, caller, WORKING):
            return Saved(before)
        row = self.instances[name]
        kept = self.kept(name, checkpoint_id)
        if kept is None:
            self.insert_checkpoint(name, checkpoint_id, write.state, at)
            row["checkpoint_id"] = checkpoint_id
            show_life(row, at)
        if state_of(row) == "asleep":
            move(row, State.RUNNING, at)
        custom = self.custom(name, checkpoint_id)
        if kept is not None and len(kept["state"]) > 64 * 1024:
            return Saved(before, None, self.pending(name), custom, is_large=True)
        return Saved(before, None if kept is None else kept["state"], self.pending(name), custom)

    def checkpoints_sleep(
        self, caller: Caller, sleep: Sleep, *, claim: Claim, earliest: datetime | None, at: datetime
    ) -> Slept:
        name = caller.instance_id
        before = self.instances_standing(name)
        if before is None or not admits(before, caller, WORKING):
            return Slept(before)
        row, kept = self.instances[name], self.kept(name, sleep.checkpoint_id)
        if kept is None:
            kept = self.insert_checkpoint(name, sleep.checkpoint_id, sleep.state, at)
            row["checkpoint_id"] = sleep.checkpoint_id
        if kept["wake_at"] is None:
            kept["wake_at"] = at + min(sleep.duration, CENTURY)
        wake_at: datetime = kept["wake_at"]
        show_life(row, at)
        signal = self.pending(name)
        if wake_at <= at or is_one_of(signal, "cancel"):
            if before.state == "asleep":
                move(row, State.RUNNING, at)
        elif before.state == "asleep" or not sleep.keep_running:
            moments = (wake_at, earliest, row["sleep_until"])
            row["status"] = "suspended"
            row["sleep_until"] = min(moment for moment in moments if moment is not None)
            if not is_anothers(row, claim.token, at):
                put_claim(row, claim)
        return Slept(before, wake_at, signal, state_of(row))

    def checkpoints_record_retry(
        self, caller: Caller, attempt: RetryAttempt, *, at: datetime
    ) -> Standing | None:
        before = self.instances_standing(caller.instance_id)
        if admits(before, caller, OPEN):
            row_id = f"{attempt.checkpoint_id}::retry::{attempt.attempt_number}"
            row = self.checkpoints.get((caller.instance_id, row_id))
            if row is None:
                row = self.insert_checkpoint(caller.instance_id, row_id, b"", at)
            row["is_retry_attempt"], row["attempt_number"] = True, attempt.attempt_number
            row["created_at"], row["error_message"] = attempt.created_at, attempt.error_message
            show_life(self.instances[caller.instance_id], at)
        return before

    def _begin_run(self, row: Row, at: datetime) -> None:
        move(row, State.RUNNING, at)
        row["run_epoch"] += 1
        row["started_at"] = row["started_at"] or at
        show_life(row, at)
        if is_one_of(self.pending(row["instance_id"]), "resume"):
            self.signals[row["instance_id"]]["acknowledged_at"] = at
        self.add_event(row["instance_id"], Event(EventType.STARTED, b"", created_at=at))
