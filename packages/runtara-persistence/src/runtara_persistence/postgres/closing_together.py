"""Closes launches in groups: those whose ends leave their instances as they stand."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from runtara_domain.error import DatabaseError
from runtara_domain.launching.settlement import Decision, FoundInstance, decide
from runtara_domain.model.launches import KEPT_LAUNCHES, Closed, Closing, Judge
from runtara_domain.model.verdicts import Follow
from runtara_domain.record import record
from runtara_persistence import queries
from runtara_persistence.postgres import closing
from runtara_persistence.postgres.database import Database
from runtara_persistence.postgres.driver_errors import is_refused

_SQL = queries.load("runtara_persistence.postgres", "closing.sql")

ATTEMPT = "close a launch"
_COLUMNS = (
    *("launch_id", "instance_id", "version", "closed_at"),
    *("run", "cause", "exit_code", "exit_signal", "memory_peak_bytes", "cpu_usage_usec"),
    *("stderr", "verdict", "all_memory_peak_bytes", "all_cpu_usage_usec"),
    *("explanation", "is_final", "crashes", "backoff_ms", "launch_after"),
    *("is_run_over", "is_run_lost"),
)


@record
class Close:
    """The launch that one caller closes."""

    closing: Closing
    judge: Judge
    at: datetime


async def close_together(
    database: Database, closes: Sequence[Close]
) -> Sequence[Closed | DatabaseError | None]:
    """
    Carry out the port's step `launches.close` for callers with different launches.

    The outcome None means that nothing was done for this caller, whose launch must be closed alone:
    it was closed before, its verdict moves the instance, another step has the row, or one launch of
    the group has a value that can't be stored. An error is the outcome of the callers that it
    concerns: the first statement may have closed the launches of others already.
    """
    launch_ids = [each.closing.launch_id for each in closes]
    plain = [_plain(each) for each in closes]
    # Without plain ends it only reads. Repeated, it would not find the launches that it has closed.
    only_reads = not any(each["is_plain"] for each in plain)
    rows = await _written(database, _SQL["look"], plain, is_repeatable=only_reads)
    judged = _judged(closes, {row["closing_id"]: row for row in rows})
    outcomes: dict[str, Closed | DatabaseError] = {
        one.launch_id: one.outcome() for one in judged if one.row["is_closed"]
    }
    left = {one.launch_id: one for one in judged if not one.row["is_closed"]}
    if left:
        try:
            values = [one.values() for one in left.values()]
            written = await _written(database, _SQL["together"], values)
        except DatabaseError as error:
            outcomes |= dict.fromkeys(left, error)
        else:
            outcomes |= {row["launch_id"]: left[row["launch_id"]].outcome() for row in written}
    return [outcomes.get(each) for each in launch_ids]


def _plain(asked: Close) -> dict[str, object]:
    """
    Give what `look` writes for a launch whose instance has ended.

    An end is plain if it changes nothing of such an instance, whatever the instance did.
    """
    closing, end = asked.closing, asked.closing.end
    figures = (end.output, end.memory_peak_bytes, end.cpu_usage_usec, end.stderr or None)
    is_plain = not closing.only_if_lost and all(figure is None for figure in figures)
    given = (closing.launch_id, is_plain, asked.at, end.cause.value, end.exit_code, end.signal)
    names = ("launch_id", "is_plain", "closed_at", "cause", "exit_code", "exit_signal")
    return {**dict(zip(names, given, strict=True)), "verdict": Follow.NOTHING.value}


@record
class _Judged:
    """A launch with the row of its instance, and the verdict."""

    closing: Closing
    at: datetime
    row: asyncpg.Record
    found: FoundInstance
    decision: Decision

    @property
    def launch_id(self) -> str:
        return self.closing.launch_id

    def values(self) -> dict[str, object]:
        """Give what `together` takes for it."""
        given = (
            self.launch_id,
            self.row["instance_id"],
            self.row["version"],
            self.at,
            *closing.end_values(self.closing.end, self.row, self.decision),
            *closing.figure_values(self.decision.figures)[:-1],
            self.decision.explanation,
            self.found.instance.state.is_final,
            *closing.settlement_values(self.decision.settlement),
        )
        return dict(zip(_COLUMNS, given, strict=True))

    def outcome(self) -> Closed:
        before = self.found.instance.state
        return closing.outcome(self.row["instance_id"], self.found, self.decision, after=before)


async def _written(
    database: Database,
    query: str,
    values: Sequence[dict[str, object]],
    *,
    is_repeatable: bool = False,
) -> Sequence[asyncpg.Record]:
    """Close launches in one statement; returns its rows, none if the database refuses it."""
    # As plain text: a database in SQL_ASCII takes no escapes of other characters.
    wanted = json.dumps(values, default=datetime.isoformat, ensure_ascii=False)
    try:
        return await database.write(
            ATTEMPT, query, wanted, KEPT_LAUNCHES, is_repeatable=is_repeatable
        )
    except DatabaseError as error:
        if not is_refused(error.__cause__):
            raise
        # The database has refused all for one, or for their number: each is closed alone.
        return ()


def _judged(closes: Sequence[Close], rows: Mapping[str, asyncpg.Record]) -> list[_Judged]:
    judged = []
    for each in closes:
        row = rows.get(each.closing.launch_id)
        # What a process says of itself is applied by what is pending, which is to be locked, too.
        if row is None or each.closing.only_if_lost or each.closing.end.output is not None:
            continue
        found = closing.found(row, None, is_taken=False)
        decision = decide(each.closing, found, each.judge, each.at)
        if decision.settlement.after is None:
            judged.append(_Judged(each.closing, each.at, row, found, decision))
    return judged
