"""Interventions of operators on instances in memory, each within one step."""

from datetime import datetime

from runtara_domain.model.instances import Ending
from runtara_domain.model.interventions import Stop, Stopped
from runtara_domain.status import MOVES, Move, SignalType, State
from runtara_persistence.memory.rows import InstanceRow, SignalRow
from runtara_persistence.memory.store import Store


def stop(store: Store, stop: Stop, at: datetime) -> Stopped:
    """Carry out the port's step `launches.stop`."""
    row = store.instances.get(stop.instance_id)
    if row is None:
        return Stopped(before=None)
    before = row.state
    if before.is_final:
        return Stopped(before=before, after=before)
    until = at + stop.grace
    row.stop_at = until if row.stop_at is None else min(row.stop_at, until)
    row.stop_reason = stop.reason
    launch = store.launches.get(row.launch_id or "")
    if before is State.PENDING:
        cancel(store, row, stop.reason, at)
    else:
        _send_cancel(store, row, at)
    store.watchers.tell_launchable()
    return Stopped(
        before=before,
        after=row.state,
        stop_at=row.stop_at,
        launch_id=row.launch_id,
        environment_id=None if launch is None else launch.environment_id,
    )


def cancel(store: Store, row: InstanceRow, reason: str | None, at: datetime) -> None:
    """Cancel an instance that an operator stops."""
    row.output, row.error = None, reason or None
    ending = Ending(MOVES[Move.TERMINATE].target, error=reason or None)
    store.end(row, ending, at)
    store.acknowledge(row.instance_id, {SignalType.CANCEL}, at)


def _send_cancel(store: Store, row: InstanceRow, at: datetime) -> None:
    sent = store.unacknowledged(row.instance_id)
    if sent is None or sent.signal_type is not SignalType.CANCEL:
        store.put_signal(
            SignalRow(
                instance_id=row.instance_id,
                signal_type=SignalType.CANCEL,
                payload=b"",
                created_at=at,
            )
        )
    row.blocked_signal_at = None
    row.launch_after = None
