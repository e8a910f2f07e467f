"""Interventions of operators on instances."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain.model.instances import Ending
from runtara_domain.model.interventions import Moved, Retried, Retry, Stop, Stopped
from runtara_domain.model.reopening import Reopening
from runtara_domain.status import MOVES, Move, SignalType, State
from runtara_persistence import queries
from runtara_persistence.transactions import moves, reopening
from runtara_persistence.transactions.transaction import End, fetch, first, only

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("intervening.sql")


def stop(asked: Stop, at: datetime) -> Transaction[Stopped]:
    """Carry out the port's step `launches.stop`."""
    instance_id = asked.instance_id
    row = yield from _lock(instance_id)
    if row is None:
        return Stopped(before=None)
    before = State(row["state"])
    if before.is_final:
        return Stopped(before=before, after=before)
    stop_at = at + asked.grace
    until = yield from only(
        _SQL["stop"], instance_id=instance_id, stop_at=stop_at, reason=asked.reason
    )
    after = before
    if before is State.PENDING:
        after = yield from _cancel(instance_id, row, asked.reason, at)
    else:
        yield from moves.unblock([instance_id], at, SignalType.CANCEL)
    return Stopped(
        before=before,
        after=after,
        stop_at=until["stop_at"],
        launch_id=row["launch_id"],
        environment_id=until["environment_id"],
    )


def overdue(patience: timedelta, limit: int, at: datetime) -> Transaction[list[str]]:
    """Find stopped instances whose time is over, and which no environment looks after."""
    found = yield from fetch(_SQL["overdue"], at=at, until=at - patience, limit=limit)
    return [row["instance_id"] for row in found]


def end_stopped(instance_id: str, patience: timedelta, at: datetime) -> Transaction[bool]:
    """Cancel a stopped instance if its time is over and nothing ended it; return whether it was."""
    row = yield from _lock(instance_id)
    if row is None or State(row["state"]).is_final or row["stop_at"] is None:
        return False
    watched = yield from first(_SQL["is_watched"], launch_id=row["launch_id"], at=at)
    if row["stop_at"] + patience > at or watched is not None:
        return False
    yield from _cancel(instance_id, row, row["stop_reason"], at)
    return True


def resume(instance_id: str, at: datetime) -> Transaction[State | None]:
    """Carry out the port's step `launches.resume`."""
    row = yield from _lock(instance_id)
    if row is None:
        return None
    before = State(row["state"])
    if before in (State.ASLEEP, State.PAUSED):
        yield from moves.unblock([instance_id], at)
    elif not before.is_final:
        if before is State.RUNNING:
            yield from _settle(instance_id, SignalType.PAUSE, at)
        yield from fetch(_SQL["end_backoff"], instance_id=instance_id)
    return before


def end_waits(instance_ids: list[str]) -> Transaction[None]:
    """Carry out the port's step `launches.end_waits`."""
    yield from fetch(_SQL["end_waits"], instance_ids=instance_ids)


def retry(asked: Retry, at: datetime) -> Transaction[Retried]:
    """Carry out the port's step `launches.retry`."""
    instance_id = asked.instance_id
    row = yield from _lock(instance_id)
    if row is None:
        return Retried(before=None)
    before = State(row["state"])
    if before is State.COMPLETED:
        return Retried(before=before)
    image_id = asked.image_id or row["image_id"]
    if image_id is not None and not (yield from moves.has_image(image_id, row["tenant_id"])):
        return Retried(before=before, image_is_found=False)
    yield from moves.supersede(instance_id, at)
    set_aside: frozenset[str] = frozenset()
    if before.is_final:
        whole = Reopening(instance_id, asked.set_aside)
        reopened = yield from reopening.reopen(whole, MOVES[Move.REOPEN].sources, at)
        set_aside = reopened.set_aside
    is_run_over = before is State.RUNNING and row["launch_id"] is not None
    yield from fetch(
        _SQL["retry"], instance_id=instance_id, image_id=image_id, is_run_over=is_run_over
    )
    yield from fetch(_SQL["tell"])
    return Retried(before=before, set_aside=set_aside, closed_launch_id=row["launch_id"])


def move(instance_id: str, image_id: str, at: datetime) -> Transaction[Moved]:
    """Carry out the port's step `launches.move`."""
    row = yield from _lock(instance_id)
    if row is None:
        return Moved(before=None)
    before = State(row["state"])
    if before.is_final:
        return Moved(before=before)
    if not (yield from moves.has_image(image_id, row["tenant_id"])):
        return Moved(before=before, image_is_found=False)
    if row["launch_id"] is not None:
        return Moved(before=before, open_launch_id=row["launch_id"])
    yield from fetch(_SQL["move"], instance_id=instance_id, image_id=image_id)
    if before is State.PAUSED and row["error"] is not None:
        yield from moves.unblock([instance_id], at)
    yield from fetch(_SQL["tell"])
    return Moved(before=before)


def _lock(instance_id: str) -> Transaction[Row | None]:
    yield from moves.lock_parent(instance_id)
    return (yield from first(_SQL["lock"], instance_id=instance_id))


def _cancel(instance_id: str, row: Row, reason: str | None, at: datetime) -> Transaction[State]:
    state = MOVES[Move.TERMINATE].target
    figures = (row["stderr"], row["memory_peak_bytes"], row["cpu_usage_usec"])
    yield End(instance_id, Ending(state, None, reason or None, *figures), at)
    yield from _settle(instance_id, SignalType.CANCEL, at)
    return state


def _settle(instance_id: str, signal: SignalType, at: datetime) -> Transaction[None]:
    yield from fetch(
        _SQL["settle_signal"], instance_id=instance_id, signal_type=signal.value, at=at
    )
