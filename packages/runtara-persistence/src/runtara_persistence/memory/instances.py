"""Instances in memory."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import (
    Caller,
    ChildrenStarted,
    ChildStarted,
    Ending,
    Event,
    EventType,
    Instance,
    InstanceFilter,
    InstanceSummary,
    NewChild,
    NewChildren,
    NewInstance,
    Registered,
    Registration,
    Reopened,
    Reopening,
    Report,
    RunState,
)
from runtara_domain.status import MOVES, Condition, Move, SignalType, State
from runtara_persistence import records
from runtara_persistence.memory import launching, saving
from runtara_persistence.memory.rows import InstanceRow
from runtara_persistence.memory.store import OnStore, step


class MemoryInstances(OnStore):
    """Fits `runtara_domain.ports.instances.Instances`."""

    @step
    def register(self, registration: Registration, *, when: Condition, at: datetime) -> Registered:
        row = self._store.instances.get(registration.instance_id)
        if row is None:
            return self._register_unknown(registration, at)
        before = row.run_state
        checkpoint_exists = self._has_named_checkpoint(registration)
        owned = row.tenant_id == registration.tenant_id
        launch_is_open = registration.launch_id in (None, row.launch_id)
        new_run = registration.continue_run is None
        is_blank = not (row.run_epoch or self._has_any_checkpoint(row.instance_id))
        is_right = owned and checkpoint_exists and launch_is_open
        if is_right and new_run and before.state in when:
            self._begin_run(row, registration, at)
        signal = self._store.pending_signal(row.instance_id)
        return Registered(
            before,
            row.tenant_id,
            checkpoint_exists,
            row.run_epoch,
            row.input,
            launch_is_open,
            is_blank,
            None if signal is None or signal.type is SignalType.RESUME else signal,
        )

    @step
    def get(self, instance_id: str) -> Instance | None:
        values.check_storable("instance_id", instance_id)
        row = self._store.instances.get(instance_id)
        return None if row is None else records.instance(row)

    @step
    def run_state(self, instance_id: str) -> RunState | None:
        row = self._store.instances.get(instance_id)
        return None if row is None else row.run_state

    @step
    def mark_active(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        for caller in callers:
            row = self._store.instances.get(caller.instance_id)
            if row is None or row.state.is_final or row.run_state.supersedes(caller):
                continue
            row.show_life(at)
        return set()

    @step
    def report(
        self, caller: Caller, report: Report, *, when: Condition, at: datetime
    ) -> RunState | None:
        row, before = self._store.admitted(caller, when)
        if row is not None:
            row.waits = row.waits if report.waits is None else report.waits
            row.progress = row.progress if report.progress is None else report.progress
            row.show_life(at)
        return before

    @step
    def create(self, new: NewInstance, *, at: datetime) -> bool:
        if new.instance_id in self._store.instances:
            return False
        row = InstanceRow(
            instance_id=new.instance_id,
            tenant_id=new.tenant_id,
            created_at=at,
            input=new.input,
            workflow=new.workflow,
        )
        self._store.put_instance(row)
        return True

    @step
    def start_child(
        self, caller: Caller, child: NewChild, *, when: Condition, at: datetime
    ) -> ChildStarted:
        parent, before = self._store.admitted(caller, when)
        if parent is None:
            return ChildStarted(before)
        known = self._store.instances.get(child.child_id)
        if known is not None:
            return ChildStarted(before, differs_in=_differences(known, parent, child))
        is_successor = child.is_successor
        row = InstanceRow(
            instance_id=child.child_id,
            tenant_id=parent.tenant_id,
            created_at=at,
            input=child.input,
            workflow=(parent.workflow if is_successor else None) or child.workflow,
            image_id=parent.image_id if is_successor else None,
            env=parent.env if is_successor else None,
            parent_id=None if is_successor else parent.instance_id,
        )
        self._store.put_instance(row)
        return ChildStarted(before, created=True)

    @step
    def start_children(
        self, caller: Caller, new: NewChildren, *, when: Condition, at: datetime
    ) -> ChildrenStarted:
        parent, before = self._store.admitted(caller, when)
        if parent is None or before is None:
            return ChildrenStarted(before)
        known = [self._store.instances.get(child.child_id) for child in new.children]
        for place, (row, child) in enumerate(zip(known, new.children, strict=True)):
            differs_in = () if row is None else _differences(row, parent, child)
            if differs_in:
                return ChildrenStarted(before, refused=place, differs_in=differs_in)
        for row, child in zip(known, new.children, strict=True):
            if row is None:
                self._store.put_instance(
                    InstanceRow(
                        instance_id=child.child_id,
                        tenant_id=parent.tenant_id,
                        created_at=at,
                        input=child.input,
                        workflow=child.workflow,
                        parent_id=parent.instance_id,
                    )
                )
        return ChildrenStarted(
            before,
            tuple(row is None for row in known),
            tuple(saving.save(self._store, parent, write, before, at) for write in new.writes),
            self._store.pending_signal(caller.instance_id),
        )

    @step
    def input(self, instance_id: str) -> bytes | None:
        values.check_storable("instance_id", instance_id)
        row = self._store.instances.get(instance_id)
        return None if row is None else row.input

    @step
    def run_states(self, instance_ids: Collection[str]) -> Mapping[str, RunState]:
        rows = self._store.instances
        return {name: rows[name].run_state for name in instance_ids if name in rows}

    @step
    def page(
        self, which: InstanceFilter, *, after: InstanceSummary | None = None, limit: int = 100
    ) -> list[InstanceSummary]:
        values.check_limit(limit)
        places = sorted(
            (_place(row.created_at, row.instance_id), row) for row in self._chosen(which)
        )
        behind = None if after is None else _place(after.created_at, after.instance_id)
        rows = [row for place, row in places if behind is None or place > behind]
        return [records.summary(row) for row in rows[:limit]]

    @step
    def count(self, which: InstanceFilter) -> int:
        return len(list(self._chosen(which)))

    @step
    def inactive_since(self, since: datetime, *, limit: int = 100) -> list[InstanceSummary]:
        values.check_limit(limit)
        running = (row for row in self._store.instances.values() if row.state is State.RUNNING)
        silent = (row for row in running if _heard_at(row) < since)
        rows = sorted(silent, key=lambda row: (_heard_at(row), row.instance_id))
        return [records.summary(row) for row in rows[:limit]]

    @step
    def finish(
        self, caller: Caller, ending: Ending, *, when: Condition, at: datetime
    ) -> RunState | None:
        row, before = self._store.admitted(caller, when)
        if row is not None:
            row.output, row.error, row.stderr = ending.output, ending.error, ending.stderr
            row.memory_peak_bytes = ending.memory_peak_bytes
            row.cpu_usage_usec = ending.cpu_usage_usec
            self._store.end(row, ending, at)
        return before

    @step
    def block(
        self, caller: Caller, reason: str, *, when: Condition, at: datetime
    ) -> RunState | None:
        values.check_note("reason", reason)
        row, before = self._store.admitted(caller, when)
        if row is not None:
            row.block(reason, self._store.unacknowledged(row.instance_id), at)
        return before

    @step
    def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Reopened:
        row = self._store.instances.get(asked.instance_id)
        if row is None:
            return Reopened(before=None)
        before = row.run_state
        if before.state not in when:
            return Reopened(before, row.run_epoch)
        launching.close_open_launch(self._store, row, at)
        set_aside = self._store.reopen(row, asked.set_aside, at)
        self._store.tell_if_launchable(row, at)
        return Reopened(before, row.run_epoch, set_aside)

    @step
    def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        values.check_limit(limit)
        old = sorted(
            (row.finished_at, row.instance_id)
            for row in self._store.instances.values()
            if row.state.is_final
            and row.finished_at is not None
            and row.finished_at < finished_before
            and not self._has_open_parent(row)
        )
        pruned = [instance_id for _, instance_id in old[:limit]]
        self._store.delete(pruned)
        return len(pruned)

    def _has_open_parent(self, row: InstanceRow) -> bool:
        parent = None if row.parent_id is None else self._store.instances.get(row.parent_id)
        return parent is not None and not parent.state.is_final

    def _register_unknown(self, registration: Registration, at: datetime) -> Registered:
        if not registration.may_create:
            return Registered.of_unknown(registration, 0)
        row = InstanceRow(
            instance_id=registration.instance_id, tenant_id=registration.tenant_id, created_at=at
        )
        self._store.instances[row.instance_id] = row
        self._begin_run(row, registration, at)
        return Registered.of_unknown(registration, row.run_epoch)

    def _has_any_checkpoint(self, instance_id: str) -> bool:
        return any(each == instance_id for each, _ in self._store.checkpoints)

    def _has_named_checkpoint(self, registration: Registration) -> bool:
        if registration.checkpoint_id is None:
            return True
        found = self._store.checkpoint(registration.instance_id, registration.checkpoint_id)
        return found is not None

    def _begin_run(self, row: InstanceRow, registration: Registration, at: datetime) -> None:
        self._take_from_launch(row, registration, at)
        row.move(MOVES[Move.REGISTER].target, at)
        row.error = row.blocked_signal_at = None
        row.workflow = row.workflow or registration.workflow
        row.code_version = registration.code_version or row.code_version
        row.run_epoch += 1
        row.started_at = row.started_at or at
        row.show_life(at)
        self._store.acknowledge(row.instance_id, {SignalType.RESUME}, at)
        self._store.add_event(row.instance_id, Event(EventType.STARTED, b"", created_at=at))

    def _take_from_launch(self, row: InstanceRow, registration: Registration, at: datetime) -> None:
        """Close the open launch if its process can't be the one that registers this run."""
        is_unnamed = registration.launch_id is None and row.launch_id is not None
        is_its_first = launching.run_of_launch(row) is None
        if is_unnamed and (row.launch_sends_id or not is_its_first):
            launching.close_open_launch(self._store, row, at)

    def _chosen(self, which: InstanceFilter) -> Iterator[InstanceRow]:
        for row in self._store.instances.values():
            if (
                which.tenant_id in (None, row.tenant_id)
                and which.status in (None, row.status)
                and which.workflow in (None, row.workflow)
                and which.parent_id in (None, row.parent_id)
                and (row.blocked_reason is not None or not which.blocked)
            ):
                yield row


def _differences(known: InstanceRow, parent: InstanceRow, child: NewChild) -> tuple[str, ...]:
    # A server that knows no successors made a child of it.
    is_its = known.parent_id == parent.instance_id or (
        child.is_successor and known.parent_id is None
    )
    is_renamed = child.is_successor and known.workflow == (parent.workflow or child.workflow)
    same = {
        "parent": known.tenant_id == parent.tenant_id and is_its,
        "workflow": known.workflow == child.workflow or is_renamed,
        "input": known.input == child.input,
    }
    return tuple(name for name, is_same in same.items() if not is_same)


def _place(created_at: datetime, instance_id: str) -> tuple[float, str]:
    return -created_at.timestamp(), instance_id


def _heard_at(row: InstanceRow) -> datetime:
    return row.last_activity_at or row.started_at or row.created_at
