"""Signals in memory."""

from collections.abc import Collection
from datetime import datetime

from runtara_domain.model import (
    Acknowledged,
    Caller,
    CustomSignal,
    Delivered,
    Ending,
    Pending,
    Signal,
)
from runtara_domain.status import MOVES, Condition, Move, SignalType, State, acknowledge, replaces
from runtara_persistence.memory.rows import CustomSignalRow, SignalRow
from runtara_persistence.memory.store import OnStore, step


class MemorySignals(OnStore):
    """Fits `runtara_domain.ports.signals.Signals`."""

    @step
    def pending(self, caller: Caller, checkpoint_ids: Collection[str] = ()) -> Pending:
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Pending(before=None)
        before = row.run_state
        if before.state.is_final or before.supersedes(caller):
            return Pending(before)
        signal = self._store.pending_signal(caller.instance_id)
        custom_signals = self._store.custom_signals(caller.instance_id, checkpoint_ids)
        return Pending(before, signal, custom_signals)

    @step
    def acknowledge(
        self, caller: Caller, acknowledged: SignalType, *, at: datetime
    ) -> Acknowledged:
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Acknowledged(before=None)
        before = row.run_state
        signal = self._store.pending_signal(caller.instance_id)
        if before.supersedes(caller) or signal is None or signal.type is not acknowledged:
            return Acknowledged(before)
        after = acknowledge(before.state, acknowledged)
        if after is None:
            return Acknowledged(before)
        self._store.acknowledge(caller.instance_id, {acknowledged}, at)
        row.show_life(at)
        if after.is_final:
            self._store.end(row, Ending(after), at)
        elif after is not before.state:
            row.move(after, at)
        return Acknowledged(before, after)

    @step
    def send(self, instance_id: str, signal: Signal, *, when: Condition, at: datetime) -> Delivered:
        row = self._store.instances.get(instance_id)
        if row is None:
            return Delivered(before=None)
        before = row.run_state
        if before.state not in when:
            return Delivered(before)
        if before.state is State.PAUSED and signal.type is not SignalType.PAUSE:
            row.blocked_signal_at = None
            self._store.tell_if_launchable(row, at)
        pending = self._store.pending_signal(instance_id)
        if not replaces(signal.type, None if pending is None else pending.type):
            return Delivered(before)
        sent = SignalRow(
            instance_id=instance_id,
            signal_type=signal.type,
            payload=signal.payload,
            created_at=at,
        )
        if before.state is State.PENDING and signal.type is SignalType.CANCEL:
            sent.acknowledged_at = at
            self._store.end(row, Ending(MOVES[Move.CANCEL].target), at)
        self._store.put_signal(sent)
        return Delivered(before, stands=True)

    @step
    def send_custom(
        self, instance_id: str, signal: CustomSignal, *, when: Condition, at: datetime
    ) -> Delivered:
        row = self._store.instances.get(instance_id)
        if row is None:
            return Delivered(before=None)
        before = row.run_state
        waits = row.waits
        taken = self._store.custom_signal(instance_id, signal.checkpoint_id) is not None
        if before.state not in when or taken:
            return Delivered(before, waits=waits)
        sent = CustomSignalRow(
            id=self._store.next_id(),
            instance_id=instance_id,
            checkpoint_id=signal.checkpoint_id,
            payload=signal.payload,
            created_at=at,
        )
        row.make_due(at)
        self._store.tell_if_launchable(row, at)
        self._store.put_custom_signal(sent)
        return Delivered(before, stands=True, waits=waits)
