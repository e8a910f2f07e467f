"""Closing launches, within one transaction."""

import sqlite3
from datetime import datetime, timedelta
from typing import Any

from runtara_domain.launching.settlement import Decision, Figures, FoundInstance, Settlement, decide
from runtara_domain.model.launches import KEPT_LAUNCHES, Closed, Closing, Judge
from runtara_domain.model.verdicts import LaunchedInstance
from runtara_domain.record import record
from runtara_domain.status import SignalType, State
from runtara_persistence import queries
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "closing.sql")

_MILLISECOND = timedelta(milliseconds=1)


@record
class _Row:
    """An open launch with its instance."""

    instance_id: str
    environment_id: str
    is_open: bool
    run: int | None
    launch_count: int
    found: FoundInstance

    @property
    def state(self) -> State:
        return self.found.instance.state


def close(
    connection: sqlite3.Connection, heard: list[str], closing: Closing, judge: Judge, at: datetime
) -> Closed:
    """Carry out the port's step `launches.close`; heard: gets the id of a parent sent an ending."""
    found = connection.execute(_SQL["find"], {"launch_id": closing.launch_id}).fetchone()
    if found is None:
        return Closed(is_closed=False)
    row = _row(found)
    key = {"environment_id": row.environment_id, "at": to_text(at)}
    if closing.only_if_lost and connection.execute(_SQL["is_living"], key).fetchone() is not None:
        return Closed(is_closed=False, instance_id=row.instance_id)
    decision = decide(closing, row.found, judge, at)
    _write_end(connection, closing, row, decision, at)
    after = row.state
    if row.is_open:
        after = _write_instance(connection, heard, row, decision, at)
    old = {"instance_id": row.instance_id, "number": row.launch_count - KEPT_LAUNCHES}
    connection.execute(_SQL["forget_old"], old)
    return Closed(
        is_closed=True,
        instance_id=row.instance_id,
        verdict=decision.verdict,
        before=row.state,
        after=after,
        launch_after=None if after.is_final else decision.settlement.launch_after,
    )


def _row(row: tuple[Any, ...]) -> _Row:
    instance_id, environment_id, is_open, status, sleep_until, run, ended_run, *rest = row
    crashes, checkpoint_id, judged_id, backoff_ms, stop_reason, *figures = rest
    memory_peak_bytes, cpu_usage_usec, stderr, launch_count, pending = figures
    launched = LaunchedInstance(
        state=rows.state(status, sleep_until),
        is_taken=not is_open,
        has_registered=run > ended_run,
        crashes=crashes,
        checkpoint_id=checkpoint_id,
        last_checkpoint_id=judged_id,
        last_delay=None if backoff_ms is None else backoff_ms * _MILLISECOND,
        stop_reason=stop_reason,
    )
    used = Figures(
        memory_peak_bytes=memory_peak_bytes, cpu_usage_usec=cpu_usage_usec, stderr=stderr
    )
    signal = None if pending is None else SignalType(pending)
    return _Row(
        instance_id,
        environment_id,
        bool(is_open),
        run if run > ended_run else None,
        launch_count,
        FoundInstance(launched, signal, used),
    )


def _write_end(
    connection: sqlite3.Connection, closing: Closing, row: _Row, decision: Decision, at: datetime
) -> None:
    end = closing.end
    closed = {
        "launch_id": closing.launch_id,
        "at": to_text(at),
        "run": row.run,
        "cause": end.cause,
        "exit_code": end.exit_code,
        "exit_signal": end.signal,
        "memory_peak_bytes": end.memory_peak_bytes,
        "cpu_usage_usec": end.cpu_usage_usec,
        "stderr": end.stderr or None,
        "verdict": decision.verdict.follow,
    }
    connection.execute(_SQL["close"], closed)


def _write_instance(
    connection: sqlite3.Connection, heard: list[str], row: _Row, decision: Decision, at: datetime
) -> State:
    figures = decision.figures
    counted = {
        "instance_id": row.instance_id,
        "memory_peak_bytes": figures.memory_peak_bytes,
        "cpu_usage_usec": figures.cpu_usage_usec,
        "stderr": figures.stderr,
        "explanation": decision.explanation,
    }
    connection.execute(_SQL["count"], counted)
    after = row.state
    if not row.state.is_final:
        after = _settle(connection, heard, row, decision.settlement, at)
    connection.execute(_SQL["release"], counted)
    return after


def _settle(
    connection: sqlite3.Connection,
    heard: list[str],
    row: _Row,
    written: Settlement,
    at: datetime,
) -> State:
    key = {"instance_id": row.instance_id, "at": to_text(at)}
    backoff = written.backoff
    settled = {
        **key,
        "crashes": written.crashes,
        "backoff_ms": None if backoff is None else backoff // _MILLISECOND,
        "launch_after": None if written.launch_after is None else to_text(written.launch_after),
        "is_run_over": written.is_run_over,
        "is_run_lost": written.is_run_lost,
    }
    connection.execute(_SQL["settle"], settled)
    if written.acknowledges:
        connection.execute(_SQL["acknowledge"], key)
    if written.ending is not None:
        moves.end(connection, row.instance_id, written.ending, to_text(at), heard)
    elif written.blocked_reason is not None:
        moves.block(connection, row.instance_id, written.blocked_reason)
    elif written.after is not None:
        until = None if written.sleep_until is None else to_text(written.sleep_until)
        slept = {**key, "sleep_until": until, "checkpoint_id": written.checkpoint_id}
        connection.execute(_SQL["suspend"], slept)
        if until is not None:
            connection.execute(_SQL["point"], slept)
            connection.execute(_SQL["point.deadline"], slept)
    return written.after or row.state
