"""Instances in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import model, values
from runtara_domain.error import DatabaseError
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries, records, stored
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import OnDatabase
from runtara_persistence.postgres.driver_errors import took_too_long
from runtara_persistence.transactions.instances import InstanceTransactions

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        ChildrenStarted,
        ChildStarted,
        Ending,
        InstanceFilter,
        InstanceSummary,
        NewChild,
        NewChildren,
        Registered,
        Registration,
        Report,
        RunState,
    )
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.postgres", "instances.sql")
_MOST_ROWS = 10_000
_ROWS_AN_INSTANCE = 50
"""Of the rows deleted at once, one in this many may be an instance: its output may be large."""
_GOOD = 0.05
_LONG = 0.25
"""Parts of a statement's timeout: one that takes less than `_GOOD` lets the next delete more rows,
one that takes more than `_LONG` fewer."""


class PostgresInstances(OnDatabase, InstanceTransactions):
    """Fits `runtara_domain.ports.instances.Instances`."""

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        while True:
            [row] = await self._database.write(
                "register an instance",
                _SQL["register"],
                registration.instance_id,
                registration.tenant_id,
                registration.checkpoint_id,
                registration.continue_run,
                rows.states(when),
                at,
                MOVES[Move.REGISTER].target.status,
                registration.launch_id,
                registration.workflow,
                registration.code_version,
            )
            new_run = row["new_run"]
            if row["state"] is not None:
                run = row["run_epoch"] if new_run is None else new_run
                return model.Registered(
                    records.run_state(row),
                    row["tenant_id"],
                    row["checkpoint_exists"],
                    run,
                    row["input"],
                    row["launch_is_open"],
                    row["is_blank"],
                    rows.signal(row),
                )
            if new_run is not None or not registration.may_create:
                return model.Registered.of_unknown(registration, new_run or 0)
            # Another has just created it, in a row this statement couldn't see yet.

    async def mark_active(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        # One entry for each instance, of its caller with the newest run: if any is current, it is.
        newest: dict[str, int | None] = {}
        for caller in callers:
            run = newest.setdefault(caller.instance_id, caller.run)
            if run is not None and (caller.run is None or caller.run > run):
                newest[caller.instance_id] = caller.run
        left = await self._database.write(
            "store activity times",
            _SQL["mark_active"],
            list(newest),
            list(newest.values()),
            at,
            is_repeatable=True,
        )
        return {row["instance_id"] for row in left}

    async def report(
        self, caller: Caller, report: Report, *, when: Condition, at: datetime
    ) -> RunState | None:
        found = await self._database.write(
            "store an instance's report",
            _SQL["report"],
            caller.instance_id,
            caller.run,
            rows.states(when),
            report.waits,
            report.progress,
            at,
            is_repeatable=True,
        )
        return records.run_state(found[0]) if found else None

    async def start_child(
        self, caller: Caller, child: NewChild, *, when: Condition, at: datetime
    ) -> ChildStarted:
        while True:
            found = await self._database.write(
                "start a child",
                _SQL["start_child"],
                caller.instance_id,
                caller.run,
                rows.states(when),
                child.child_id,
                child.workflow,
                child.input,
                at,
                child.is_successor,
            )
            if not found:
                return model.ChildStarted(before=None)
            [row] = found
            before = records.run_state(row)
            if row["is_created"] or not before.admits(caller, when):
                return model.ChildStarted(before, created=row["is_created"])
            if row["is_known"]:
                return model.ChildStarted(before, differs_in=rows.differences(row))
            # Another has just created it, in a row this statement couldn't see yet.

    async def start_children(
        self, caller: Caller, new: NewChildren, *, when: Condition, at: datetime
    ) -> ChildrenStarted:
        # Only now: few programs start children.
        from runtara_persistence.postgres import starting

        return await starting.start(self._database, caller, new, when, at)

    async def page(
        self, which: InstanceFilter, *, after: InstanceSummary | None = None, limit: int = 100
    ) -> list[InstanceSummary]:
        values.check_limit(limit)
        place = (None, None) if after is None else (after.created_at, after.instance_id)
        query = _SQL[f"page.{stored.kind(which)}"]
        found = await self._database.read("list instances", query, *place, limit, *_of(which))
        return [records.summary(row) for row in found]

    async def count(self, which: InstanceFilter) -> int:
        query = _SQL[f"count.{stored.kind(which)}"]
        [row] = await self._database.read_much("count instances", query, *_of(which))
        return int(row["count"])

    async def finish(
        self, caller: Caller, ending: Ending, *, when: Condition, at: datetime
    ) -> RunState | None:
        found = await self._database.write(
            "finish an instance",
            _SQL["finish"],
            caller.instance_id,
            caller.run,
            rows.states(when),
            ending.state.status,
            ending.output,
            ending.error,
            ending.stderr,
            ending.memory_peak_bytes,
            ending.cpu_usage_usec,
            at,
            *model.ending_signal(caller.instance_id, ending),
        )
        return records.run_state(found[0]) if found else None

    async def block(
        self, caller: Caller, reason: str, *, when: Condition, at: datetime
    ) -> RunState | None:
        values.check_note("reason", reason)
        found = await self._database.write(
            "block an instance",
            _SQL["block"],
            caller.instance_id,
            caller.run,
            rows.states(when),
            reason,
            MOVES[Move.BLOCK].target.status,
        )
        return records.run_state(found[0]) if found else None

    async def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        values.check_limit(limit)
        # Each statement is a transaction: if one fails, the earlier ones stay done. Instances with
        # very many rows take several: their rows go first, and the instances with the last of them.
        pruned, most_rows = 0, _MOST_ROWS // 2
        while pruned < limit:
            most = min(limit - pruned, max(1, most_rows // _ROWS_AN_INSTANCE))
            began = _now()
            try:
                [row] = await self._database.write(
                    "delete finished instances", _SQL["prune"], finished_before, most, most_rows
                )
            except DatabaseError as error:
                if most_rows == 1 or not took_too_long(error):
                    raise
                most_rows = max(1, most_rows // 8)
                continue
            pruned += row["gone"]
            if row["found"] < most and row["found"] == row["gone"]:
                break
            most_rows = _paced(most_rows, (_now() - began) / self._database.step_timeout)
        return pruned


def _of(which: InstanceFilter) -> list[object]:
    narrowing = [which.tenant_id, which.status, which.workflow]
    match stored.kind(which):
        case "of_parent":
            return [*narrowing, which.parent_id, which.blocked]
        case "blocked" | "of_workflow":
            return [*narrowing]
        case _:
            return [value for value in (which.tenant_id, which.status) if value is not None]


def _paced(rows: int, share: float) -> int:
    if share > _LONG:
        return max(1, rows // 2)
    return min(2 * rows, _MOST_ROWS) if share < _GOOD else rows


def _now() -> float:
    return asyncio.get_running_loop().time()
