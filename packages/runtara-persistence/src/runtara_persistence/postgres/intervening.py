"""Interventions of operators on instances, each within one transaction."""

from datetime import datetime, timedelta

import asyncpg

from runtara_domain.model.instances import Ending
from runtara_domain.model.interventions import Moved, Retried, Retry, Stop, Stopped
from runtara_domain.model.reopening import Reopening
from runtara_domain.status import MOVES, Move, SignalType, State
from runtara_persistence import queries
from runtara_persistence.postgres import closing, moves
from runtara_persistence.postgres.database import Connection
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.transactions import reopening

_SQL = queries.load("runtara_persistence.postgres", "launches.sql")


async def stop(connection: Connection, asked: Stop, at: datetime) -> Stopped:
    """Carry out the port's step `launches.stop`."""
    row = await _lock(connection, asked.instance_id)
    if row is None:
        return Stopped(before=None)
    before = State(row["state"])
    if before.is_final:
        return Stopped(before=before, after=before)
    [until] = await connection.fetch(
        _SQL["stop"], asked.instance_id, at + asked.grace, asked.reason
    )
    after = before
    if before is State.PENDING:
        after = await _cancel(connection, asked.instance_id, row, asked.reason, at)
    else:
        await moves.unblock(connection, [asked.instance_id], at, SignalType.CANCEL)
    return Stopped(
        before=before,
        after=after,
        stop_at=until["stop_at"],
        launch_id=row["launch_id"],
        environment_id=until["environment_id"],
    )


async def end_stopped(
    connection: Connection, instance_id: str, patience: timedelta, at: datetime
) -> bool:
    """Cancel a stopped instance if its time is over and nothing ended it; return whether it was."""
    row = await _lock(connection, instance_id)
    if row is None or State(row["state"]).is_final or row["stop_at"] is None:
        return False
    [found] = await connection.fetch(_SQL["end_stopped.is_unwatched"], row["launch_id"], at)
    if row["stop_at"] + patience > at or not found["is_unwatched"]:
        return False
    await _cancel(connection, instance_id, row, row["stop_reason"], at)
    return True


async def resume(connection: Connection, instance_id: str, at: datetime) -> State | None:
    """Carry out the port's step `launches.resume`."""
    row = await _lock(connection, instance_id)
    if row is None:
        return None
    before = State(row["state"])
    if before in (State.ASLEEP, State.PAUSED):
        await moves.unblock(connection, [instance_id], at)
    elif not before.is_final:
        if before is State.RUNNING:
            await connection.execute(_SQL["settle_signal"], instance_id, at, SignalType.PAUSE.value)
        await connection.execute(_SQL["end_backoff"], instance_id)
    return before


async def retry(connection: Connection, asked: Retry, at: datetime) -> Retried:
    """Carry out the port's step `launches.retry`."""
    row = await _lock(connection, asked.instance_id)
    if row is None:
        return Retried(before=None)
    before = State(row["state"])
    if before is State.COMPLETED:
        return Retried(before=before)
    image_id = asked.image_id or row["image_id"]
    if image_id is not None and not await moves.has_image(connection, image_id, row["tenant_id"]):
        return Retried(before=before, image_is_found=False)
    await moves.supersede(connection, asked.instance_id, at)
    set_aside: frozenset[str] = frozenset()
    if before.is_final:
        whole = Reopening(asked.instance_id, asked.set_aside)
        sources = MOVES[Move.REOPEN].sources
        reopened = await run_transaction(connection, reopening.reopen(whole, sources, at))
        set_aside = reopened.set_aside
    is_run_over = before is State.RUNNING and row["launch_id"] is not None
    await connection.execute(_SQL["retry"], asked.instance_id, image_id, is_run_over)
    await connection.execute(_SQL["tell"])
    return Retried(before=before, set_aside=set_aside, closed_launch_id=row["launch_id"])


async def move(connection: Connection, instance_id: str, image_id: str, at: datetime) -> Moved:
    """Carry out the port's step `launches.move`."""
    row = await _lock(connection, instance_id)
    if row is None:
        return Moved(before=None)
    before = State(row["state"])
    if before.is_final:
        return Moved(before=before)
    if not await moves.has_image(connection, image_id, row["tenant_id"]):
        return Moved(before=before, image_is_found=False)
    if row["launch_id"] is not None:
        return Moved(before=before, open_launch_id=row["launch_id"])
    await connection.execute(_SQL["move"], instance_id, image_id)
    if before is State.PAUSED and row["error"] is not None:
        await moves.unblock(connection, [instance_id], at)
    await connection.execute(_SQL["tell"])
    return Moved(before=before)


async def _lock(connection: Connection, instance_id: str) -> asyncpg.Record | None:
    await moves.lock_parent(connection, instance_id)
    found = await connection.fetch(_SQL["lock"], instance_id)
    return found[0] if found else None


async def _cancel(
    connection: Connection,
    instance_id: str,
    row: asyncpg.Record,
    reason: str | None,
    at: datetime,
) -> State:
    state = MOVES[Move.TERMINATE].target
    figures = (row["stderr"], row["memory_peak_bytes"], row["cpu_usage_usec"])
    await closing.end(connection, instance_id, Ending(state, None, reason or None, *figures), at)
    await connection.execute(_SQL["settle_signal"], instance_id, at, SignalType.CANCEL.value)
    return state
