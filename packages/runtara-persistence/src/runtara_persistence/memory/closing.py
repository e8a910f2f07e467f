"""Closing launches in memory."""

from datetime import datetime, timedelta

from runtara_domain.launching.settlement import Figures, FoundInstance, Settlement, decide
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import INLINE, KEPT_LAUNCHES, Closed, Closing, Judge
from runtara_domain.model.verdicts import Follow, LaunchedInstance
from runtara_domain.status import SignalType, State
from runtara_persistence.memory import launching
from runtara_persistence.memory.rows import InstanceRow, LaunchRow
from runtara_persistence.memory.store import Store

_MILLISECOND = timedelta(milliseconds=1)


def close(store: Store, closing: Closing, judge: Judge, at: datetime) -> Closed:
    """Carry out the port's step `launches.close`."""
    launch = store.launches.get(closing.launch_id)
    row = None if launch is None else store.instances.get(launch.instance_id)
    if launch is None or row is None or launch.closed_at is not None:
        return Closed(is_closed=False)
    if closing.only_if_lost and launching.is_living(store, launch.environment_id, at):
        return Closed(is_closed=False, instance_id=row.instance_id)
    run, before = launching.run_of_launch(row), row.state
    decision = decide(closing, _found(store, row, launch), judge, at)
    launch.closed_at, launch.run, launch.verdict = at, run, decision.verdict.follow
    launch.set_end(closing.end)
    if row.launch_id == launch.launch_id:
        row.launch_id = None
        row.memory_peak_bytes = decision.figures.memory_peak_bytes
        row.cpu_usage_usec = decision.figures.cpu_usage_usec
        row.stderr = decision.figures.stderr
        row.error = row.error or decision.explanation
        if not before.is_final:
            _settle(store, row, decision.settlement, at)
    store.tell_of_end(launch, row, at)
    _forget_old(store, row)
    return Closed(
        is_closed=True,
        instance_id=row.instance_id,
        verdict=decision.verdict,
        before=before,
        after=row.state,
        launch_after=row.launch_after,
    )


def has_open_launch(row: InstanceRow) -> bool:
    """Whether an instance's newest run is that of its open launch."""
    return row.launch_id is not None and launching.run_of_launch(row) is not None


def close_ended(store: Store, row: InstanceRow, exit_code: int, at: datetime) -> None:
    """Close the launch of a run that has ended its instance, if a worker executes it."""
    launch = store.launches.get(row.launch_id or "")
    if launch is None or launch.runner != INLINE or not has_open_launch(row):
        return
    launch.closed_at, launch.run, launch.verdict = at, launching.run_of_launch(row), Follow.NOTHING
    launch.set_end(LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=exit_code))
    row.launch_id = None
    store.tell_of_end(launch, row, at)
    _forget_old(store, row)


def _found(store: Store, row: InstanceRow, launch: LaunchRow) -> FoundInstance:
    pending = store.unacknowledged(row.instance_id)
    return FoundInstance(
        _launched(row, is_taken=row.launch_id != launch.launch_id),
        None if pending is None else pending.signal_type,
        Figures(
            memory_peak_bytes=row.memory_peak_bytes,
            cpu_usage_usec=row.cpu_usage_usec,
            stderr=row.stderr,
        ),
    )


def _launched(row: InstanceRow, *, is_taken: bool) -> LaunchedInstance:
    return LaunchedInstance(
        state=row.state,
        is_taken=is_taken,
        has_registered=launching.run_of_launch(row) is not None,
        crashes=row.crashes,
        checkpoint_id=row.checkpoint_id,
        last_checkpoint_id=row.judged_checkpoint_id,
        last_delay=None if row.backoff_ms is None else row.backoff_ms * _MILLISECOND,
        stop_reason=row.stop_reason,
    )


def _settle(store: Store, row: InstanceRow, written: Settlement, at: datetime) -> None:
    row.crashes = written.crashes
    row.backoff_ms = None if written.backoff is None else written.backoff // _MILLISECOND
    row.launch_after = written.launch_after
    row.judged_checkpoint_id = row.checkpoint_id
    if written.is_run_over:
        row.ended_run = row.run_epoch
    if written.is_run_lost:
        row.lost_run = row.run_epoch
    if written.acknowledges:
        store.acknowledge(row.instance_id, SignalType, at)
    if written.ending is not None:
        ending = written.ending
        row.output, row.error = ending.output, ending.error
        store.end(row, ending, at)
    elif written.blocked_reason is not None:
        row.block(written.blocked_reason, store.unacknowledged(row.instance_id), at)
    elif written.after is not None:
        row.move(State.PAUSED, at)
        if written.sleep_until is not None:
            row.fall_asleep(written.sleep_until)
            _point_to(store, row, written)


def _point_to(store: Store, row: InstanceRow, written: Settlement) -> None:
    checkpoint = store.checkpoint(row.instance_id, written.checkpoint_id or "")
    if checkpoint is not None:
        row.checkpoint_id = checkpoint.checkpoint_id
        checkpoint.wake_at = checkpoint.wake_at or written.sleep_until


def _forget_old(store: Store, row: InstanceRow) -> None:
    for launch_id, launch in list(store.launches.items()):
        is_old = launch.number <= row.launch_count - KEPT_LAUNCHES
        if launch.instance_id == row.instance_id and is_old and launch.closed_at is not None:
            del store.launches[launch_id]
