"""Interventions of operators on instances, each within one transaction."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from runtara_domain.model.instances import Ending
from runtara_domain.model.interventions import Moved, Retried, Retry, Stop, Stopped
from runtara_domain.model.reopening import Reopening
from runtara_domain.status import MOVES, Move, SignalType, State
from runtara_persistence import queries
from runtara_persistence.records import Row
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.rows import from_text, to_text
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions import reopening

_SQL = queries.load("runtara_persistence.sqlite", "launches.sql")


def stop(connection: sqlite3.Connection, heard: list[str], asked: Stop, at: datetime) -> Stopped:
    """Carry out the port's step `launches.stop`."""
    key = {"instance_id": asked.instance_id, "at": to_text(at)}
    row = rows.first(connection, _SQL["run_state"], key, dict)
    if row is None:
        return Stopped(before=None)
    before = rows.state(row["status"], row["sleep_until"])
    if before.is_final:
        return Stopped(before=before, after=before)
    until = {"stop_at": to_text(at + asked.grace), "reason": asked.reason}
    [(stop_at,)] = connection.execute(_SQL["stop"], {**key, **until}).fetchall()
    after = before
    if before is State.PENDING:
        after = _cancel(connection, heard, key, row, asked.reason)
    else:
        moves.unblock(connection, asked.instance_id, to_text(at), SignalType.CANCEL)
    launch_id = row["launch_id"]
    environment = connection.execute(_SQL["environment_of"], {"launch_id": launch_id}).fetchone()
    return Stopped(
        before=before,
        after=after,
        stop_at=from_text(stop_at),
        launch_id=launch_id,
        environment_id=None if environment is None else environment[0],
    )


def end_stopped(
    connection: sqlite3.Connection,
    heard: list[str],
    patience: timedelta,
    limit: int,
    at: datetime,
) -> Sequence[str]:
    """Carry out the port's step `launches.end_stopped`."""
    asked = {"at": to_text(at), "until": to_text(at - patience), "limit": limit}
    due = rows.found(connection, _SQL["end_stopped"], asked, dict)
    for row in due:
        key = {"instance_id": row["instance_id"], "at": to_text(at)}
        _cancel(connection, heard, key, row, row["stop_reason"])
    return [row["instance_id"] for row in due]


def resume(connection: sqlite3.Connection, instance_id: str, at: datetime) -> State | None:
    """Carry out the port's step `launches.resume`."""
    key = {"instance_id": instance_id, "at": to_text(at)}
    row = rows.first(connection, _SQL["run_state"], key, dict)
    if row is None:
        return None
    before = rows.state(row["status"], row["sleep_until"])
    if before in (State.ASLEEP, State.PAUSED):
        moves.unblock(connection, instance_id, to_text(at))
    elif not before.is_final:
        if before is State.RUNNING:
            connection.execute(_SQL["settle_pause"], key)
        connection.execute(_SQL["end_backoff"], key)
    return before


def retry(connection: sqlite3.Connection, asked: Retry, at: datetime) -> Retried:
    """Carry out the port's step `launches.retry`."""
    key = {"instance_id": asked.instance_id}
    row = rows.first(connection, _SQL["run_state"], key, dict)
    if row is None:
        return Retried(before=None)
    before = rows.state(row["status"], row["sleep_until"])
    if before is State.COMPLETED:
        return Retried(before=before)
    image_id = asked.image_id or row["image_id"]
    if image_id is not None and not _has_image(connection, image_id, row["tenant_id"]):
        return Retried(before=before, image_is_found=False)
    moves.supersede(connection, asked.instance_id, to_text(at))
    set_aside: frozenset[str] = frozenset()
    if before.is_final:
        whole = Reopening(asked.instance_id, asked.set_aside)
        sources = MOVES[Move.REOPEN].sources
        reopened = run_transaction(connection, reopening.reopen(whole, sources, at))
        set_aside = reopened.set_aside
    is_run_over = before is State.RUNNING and row["launch_id"] is not None
    connection.execute(_SQL["retry"], {**key, "image_id": image_id, "is_run_over": is_run_over})
    connection.execute(_SQL["tell"])
    return Retried(before=before, set_aside=set_aside, closed_launch_id=row["launch_id"])


def move(connection: sqlite3.Connection, instance_id: str, image_id: str, at: datetime) -> Moved:
    """Carry out the port's step `launches.move`."""
    key = {"instance_id": instance_id, "image_id": image_id}
    row = rows.first(connection, _SQL["run_state"], key, dict)
    if row is None:
        return Moved(before=None)
    before = rows.state(row["status"], row["sleep_until"])
    if before.is_final:
        return Moved(before=before)
    if not _has_image(connection, image_id, row["tenant_id"]):
        return Moved(before=before, image_is_found=False)
    if row["launch_id"] is not None:
        return Moved(before=before, open_launch_id=row["launch_id"])
    connection.execute(_SQL["move"], key)
    if before is State.PAUSED and row["error"] is not None:
        moves.unblock(connection, instance_id, to_text(at))
    connection.execute(_SQL["tell"])
    return Moved(before=before)


def _has_image(connection: sqlite3.Connection, image_id: str, tenant_id: str) -> bool:
    key = {"image_id": image_id, "tenant_id": tenant_id}
    row = connection.execute(_SQL["start.image"], key).fetchone()
    return row is not None and bool(row[1])


def _cancel(
    connection: sqlite3.Connection,
    heard: list[str],
    key: dict[str, str],
    row: Row,
    reason: str | None,
) -> State:
    state = MOVES[Move.TERMINATE].target
    figures = (row["stderr"], row["memory_peak_bytes"], row["cpu_usage_usec"])
    ending = Ending(state, None, reason or None, *figures)
    moves.end(connection, key["instance_id"], ending, key["at"], heard)
    connection.execute(_SQL["settle_cancel"], key)
    return state
