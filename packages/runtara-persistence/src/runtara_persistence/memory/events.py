"""Events in memory, and the moves that come with some of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventFilter,
    EventStep,
    EventType,
    Recorded,
    StoredEvent,
)
from runtara_domain.model.reopening import REOPENED
from runtara_domain.status import MOVES, Condition, Move, SignalType, State, settle
from runtara_persistence import records
from runtara_persistence.memory import closing
from runtara_persistence.memory.rows import EventRow, InstanceRow
from runtara_persistence.memory.store import OnStore, step


class MemoryEvents(OnStore):
    """Fits `runtara_domain.ports.events.Events`."""

    @step
    def append(self, caller: Caller, event: Event, *, when: Condition, at: datetime) -> Recorded:
        return self._append(caller, event, when, at)

    @step
    def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        return self._end(caller, event, ending, when, at)

    @step
    def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        return self._suspend(caller, event, at)

    @step
    def record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        return [self._record(step, at) for step in steps]

    @step
    def page(
        self, which: EventFilter, *, after_id: int = 0, offset: int = 0, limit: int = 100
    ) -> list[StoredEvent]:
        values.check_part(after_id, limit, offset)
        rows = [row for row in self._chosen(which) if row.id > after_id]
        return [records.event(row) for row in rows[offset : offset + limit]]

    @step
    def count(self, which: EventFilter) -> int:
        return len(list(self._chosen(which)))

    def _record(self, step: EventStep, at: datetime) -> Recorded:
        if step.ending is not None:
            return self._end(step.caller, step.event, step.ending, step.when, at)
        if step.event.type is EventType.SUSPENDED:
            return self._suspend(step.caller, step.event, at)
        return self._append(step.caller, step.event, step.when, at)

    def _append(self, caller: Caller, event: Event, when: Condition, at: datetime) -> Recorded:
        row, before = self._store.admitted(caller, when)
        if row is None:
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        if not row.state.is_final:
            row.show_life(at)
        return Recorded(before, after=row.state)

    def _end(
        self, caller: Caller, event: Event, ending: Ending, when: Condition, at: datetime
    ) -> Recorded:
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Recorded(before=None)
        before = row.run_state
        if not before.supersedes(caller) and _ended_so(row, ending):
            is_closed = event.exit_code is not None and not closing.has_open_launch(row)
            return Recorded(before, repeated=True, after=before.state, is_launch_closed=is_closed)
        if not before.admits(caller, when) or self._is_reopened(before.state, caller):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        row.output, row.error = ending.output, ending.error
        row.show_life(at)
        self._store.end(row, ending, at)
        if caller.run is not None and event.exit_code is not None:
            closing.close_ended(self._store, row, event.exit_code, at)
        is_closed = event.exit_code is not None and not closing.has_open_launch(row)
        return Recorded(before, after=ending.state, is_launch_closed=is_closed)

    def _suspend(self, caller: Caller, event: Event, at: datetime) -> Recorded:
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Recorded(before=None)
        before = row.run_state
        if event.blocked_reason is not None:
            return self._block(row, caller, event, event.blocked_reason, at)
        signal = self._store.pending_signal(caller.instance_id)
        if not before.supersedes(caller) and self._suspended_so(before.state, caller, event):
            return Recorded(before, repeated=True, after=before.state)
        after = settle(before.state, None if signal is None else signal.type)
        if after is None or before.supersedes(caller):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        self._store.acknowledge(caller.instance_id, {SignalType.CANCEL, SignalType.PAUSE}, at)
        row.show_life(at)
        if after.is_final:
            self._store.end(row, Ending(after), at)
        elif after is not before.state:
            row.move(after, at)
        if event.waits is not None and not after.is_final:
            row.waits = event.waits
        self._store.tell_if_launchable(row, at)
        return Recorded(before, after=after)

    def _block(
        self, row: InstanceRow, caller: Caller, event: Event, reason: str, at: datetime
    ) -> Recorded:
        before, block = row.run_state, MOVES[Move.BLOCK]
        if not before.admits(caller, block.sources):
            return Recorded(before)
        self._store.add_event(caller.instance_id, event)
        row.show_life(at)
        row.block(reason, self._store.unacknowledged(caller.instance_id), at)
        row.waits = event.waits
        return Recorded(before, after=block.target)

    def _is_reopened(self, state: State, caller: Caller) -> bool:
        """Whether a caller without a run number must be from before the instance was reopened."""
        opened = [
            row.subtype == REOPENED
            for row in self._store.instance_events
            if row.instance_id == caller.instance_id
            and (row.event_type is EventType.STARTED or row.subtype == REOPENED)
        ]
        return caller.run is None and state is State.ASLEEP and opened[-1:] == [True]

    def _suspended_so(self, state: State, caller: Caller, event: Event) -> bool:
        """Whether this same event acknowledged a cancel before, and so ended the instance."""
        told = self._store.pending_signals.get(caller.instance_id)
        if state is not State.CANCELLED or told is None or told.acknowledged_at is None:
            return False
        said = [
            (row.event_type, row.payload or b"")
            for row in self._store.instance_events
            if row.instance_id == caller.instance_id
            and row.event_type in (EventType.STARTED, EventType.SUSPENDED)
        ]
        last = (EventType.SUSPENDED, event.payload)
        return told.signal_type is SignalType.CANCEL and said[-1:] == [last]

    def _chosen(self, which: EventFilter) -> Iterator[EventRow]:
        rows = sorted(self._store.instance_events, key=lambda row: row.id)
        return (row for row in rows if _fits(row, which))


def _ended_so(row: InstanceRow, ending: Ending) -> bool:
    return (row.state, row.output, row.error) == (ending.state, ending.output, ending.error)


def _fits(row: EventRow, which: EventFilter) -> bool:
    return (
        row.instance_id == which.instance_id
        and which.type in (None, row.event_type)
        and which.subtype in (None, row.subtype)
        and (which.since is None or which.since <= row.created_at)
        and (which.until is None or row.created_at < which.until)
        and (which.text is None or which.text.encode() in (row.payload or b""))
    )
