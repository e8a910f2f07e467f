"""Closing launches, within one transaction."""

from datetime import datetime, timedelta

import asyncpg

from runtara_domain.launching.settlement import Decision, Figures, FoundInstance, Settlement, decide
from runtara_domain.model.launch_ends import LaunchEnd
from runtara_domain.model.launches import KEPT_LAUNCHES, Closed, Closing, Judge
from runtara_domain.model.verdicts import LaunchedInstance
from runtara_domain.status import MOVES, OPEN, Move, SignalType, State
from runtara_persistence import queries
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.connection import Connection
from runtara_persistence.postgres.moves import end

_SQL = queries.load("runtara_persistence.postgres", "closing.sql")
_BLOCK = queries.load("runtara_persistence.postgres", "instances.sql")["block"]

_MILLISECOND = timedelta(milliseconds=1)


async def close(connection: Connection, closing: Closing, judge: Judge, at: datetime) -> Closed:
    """Carry out the port's step `launches.close`."""
    launches = await connection.fetch(_SQL["find"], closing.launch_id)
    if not launches:
        return Closed(is_closed=False)
    [launch] = launches
    instance_id = launch["instance_id"]
    if closing.only_if_lost and await _is_living(connection, launch["environment_id"], at):
        return Closed(is_closed=False, instance_id=instance_id)
    await connection.fetch(_SQL["lock_parent"], instance_id)
    locked = await connection.fetch(_SQL["lock_instance"], instance_id)
    if not locked or not await connection.fetch(_SQL["lock_launch"], closing.launch_id):
        return Closed(is_closed=False, instance_id=instance_id)
    [row] = locked
    is_open = row["launch_id"] == closing.launch_id
    pending = await connection.fetch(_SQL["pending"], instance_id)
    signal = SignalType(pending[0]["signal_type"]) if pending else None
    found_instance = found(row, signal, is_taken=not is_open)
    decision = decide(closing, found_instance, judge, at)
    ended = (closing.launch_id, at, *end_values(closing.end, row, decision))
    await connection.execute(_SQL["close"], *ended)
    if is_open:
        await _write_instance(connection, instance_id, found_instance, decision, at)
    await connection.execute(_SQL["forget_old"], instance_id, row["launch_count"] - KEPT_LAUNCHES)
    before = found_instance.instance.state
    after = decision.settlement.after if is_open and not before.is_final else None
    return outcome(instance_id, found_instance, decision, after=after or before)


def found(row: asyncpg.Record, signal: SignalType | None, *, is_taken: bool) -> FoundInstance:
    """Build what a verdict is given on from an instance's row."""
    backoff_ms = row["backoff_ms"]
    launched = LaunchedInstance(
        state=State(row["state"]),
        is_taken=is_taken,
        has_registered=row["run_epoch"] > row["ended_run"],
        crashes=row["crashes"],
        checkpoint_id=row["checkpoint_id"],
        last_checkpoint_id=row["judged_checkpoint_id"],
        last_delay=None if backoff_ms is None else backoff_ms * _MILLISECOND,
        stop_reason=row["stop_reason"],
    )
    figures = Figures(
        memory_peak_bytes=row["memory_peak_bytes"],
        cpu_usage_usec=row["cpu_usage_usec"],
        stderr=row["stderr"],
    )
    return FoundInstance(launched, signal, figures)


def end_values(end: LaunchEnd, row: asyncpg.Record, decision: Decision) -> tuple[object, ...]:
    """Give what is written into the row of a launch, from `run` to `verdict`."""
    return (
        row["run_epoch"] if row["run_epoch"] > row["ended_run"] else None,
        end.cause.value,
        end.exit_code,
        end.signal,
        end.memory_peak_bytes,
        end.cpu_usage_usec,
        end.stderr or None,
        decision.verdict.follow.value,
    )


def figure_values(figures: Figures) -> tuple[object, ...]:
    """Give what is written of the figures into the row of an instance."""
    return figures.memory_peak_bytes, figures.cpu_usage_usec, figures.stderr


def settlement_values(written: Settlement) -> tuple[object, ...]:
    """Give what is written into the row of an instance that stays open."""
    backoff = written.backoff
    return (
        written.crashes,
        None if backoff is None else backoff // _MILLISECOND,
        written.launch_after,
        written.is_run_over,
        written.is_run_lost,
    )


def outcome(instance_id: str, found: FoundInstance, decision: Decision, *, after: State) -> Closed:
    """Tell what closing a launch found, and did."""
    before = found.instance.state
    return Closed(
        is_closed=True,
        instance_id=instance_id,
        verdict=decision.verdict,
        before=before,
        after=after,
        launch_after=None if before.is_final else decision.settlement.launch_after,
    )


async def _is_living(connection: Connection, environment_id: str, at: datetime) -> bool:
    await connection.fetch(_SQL["lock_environment"], environment_id)
    return bool(await connection.fetch(_SQL["living"], environment_id, at))


async def _write_instance(
    connection: Connection, instance_id: str, found: FoundInstance, decision: Decision, at: datetime
) -> None:
    figures, written = figure_values(decision.figures), decision.settlement
    if found.instance.state.is_final:
        await connection.execute(_SQL["count"], instance_id, *figures, decision.explanation)
        return
    await connection.execute(_SQL["settle"], instance_id, *figures, *settlement_values(written))
    await _move(connection, instance_id, written, at)


async def _move(
    connection: Connection, instance_id: str, written: Settlement, at: datetime
) -> None:
    if written.acknowledges:
        await connection.execute(_SQL["acknowledge"], instance_id, at)
    if written.ending is not None:
        await end(connection, instance_id, written.ending, at)
    elif written.blocked_reason is not None:
        status = MOVES[Move.BLOCK].target.status
        blocked = (rows.states(OPEN), written.blocked_reason, status)
        await connection.execute(_BLOCK, instance_id, None, *blocked)
    elif written.after is not None:
        await connection.execute(_SQL["suspend"], instance_id, written.sleep_until)
        if written.sleep_until is not None:
            slept = (written.checkpoint_id, written.sleep_until)
            await connection.execute(_SQL["point"], instance_id, *slept)
