"""Instances in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model import Registered
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries, records, stored
from runtara_persistence.sqlite import children, moves, rows, starting
from runtara_persistence.sqlite.database import OnDatabase, read, write, write_and_tell
from runtara_persistence.sqlite.rows import to_text
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions.instances import InstanceTransactions
from runtara_persistence.transactions.moves import supersede

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
        Registration,
        Report,
        RunState,
    )
    from runtara_domain.status import Condition

_SQL = queries.load("runtara_persistence.sqlite", "instances.sql")
_PRUNE_BELONGINGS = (
    _SQL["prune.checkpoints"],
    _SQL["prune.events"],
    _SQL["prune.custom_signals"],
)

_MOST_PRUNED = 100
"""The most instances that one transaction deletes."""
_MOST_PRUNED_ROWS = 1000
"""The most rows of instances, such as checkpoints, that one transaction deletes."""

_NEWEST = "~"
"""A text that sorts after every moment."""


class SqliteInstances(OnDatabase, InstanceTransactions):
    """
    Fits `runtara_domain.ports.instances.Instances`; calls the watch for parents that get an end.
    """

    @write("register an instance")
    def register(
        self,
        connection: sqlite3.Connection,
        registration: Registration,
        *,
        when: Condition,
        at: datetime,
    ) -> Registered:
        key = {
            "instance_id": registration.instance_id,
            "checkpoint_id": registration.checkpoint_id,
        }
        row = connection.execute(_SQL["register.find"], key).fetchone()
        if row is None:
            return _register_unknown(connection, registration, to_text(at))
        (
            tenant_id,
            status,
            sleep_until,
            run,
            given,
            launch_id,
            is_blank,
            signal_type,
            payload,
            is_others,
            has_checkpoint,
        ) = row
        before = rows.run_state(status, sleep_until, run)
        checkpoint_exists = registration.checkpoint_id is None or bool(has_checkpoint)
        launch_is_open = registration.launch_id in (None, launch_id)
        owned = tenant_id == registration.tenant_id
        begins = registration.continue_run is None and before.state in when
        if owned and checkpoint_exists and launch_is_open and begins:
            if is_others and registration.launch_id is None:
                superseding = supersede(registration.instance_id, at)
                run_transaction(connection, superseding, [])
            _begin_run(connection, registration, to_text(at))
            run += 1
        found = (before, tenant_id, checkpoint_exists, run, given, launch_is_open)
        return Registered(*found, bool(is_blank), rows.signal(signal_type, payload))

    @write("note activity")
    def mark_active(
        self, connection: sqlite3.Connection, callers: Collection[Caller], *, at: datetime
    ) -> set[str]:
        moment = to_text(at)
        touched = [
            {"instance_id": caller.instance_id, "run": caller.run, "at": moment}
            for caller in callers
        ]
        connection.executemany(_SQL["mark_active"], touched)
        return set()

    @write("keep an instance's report")
    def report(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        report: Report,
        *,
        when: Condition,
        at: datetime,
    ) -> RunState | None:
        said = {
            "instance_id": caller.instance_id,
            "waits": report.waits,
            "progress": report.progress,
            "at": to_text(at),
        }
        before = moves.run_state(connection, caller.instance_id)
        if before is not None and before.admits(caller, when):
            connection.execute(_SQL["report"], said)
        return before

    @write("start a child")
    def start_child(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        child: NewChild,
        *,
        when: Condition,
        at: datetime,
    ) -> ChildStarted:
        return children.start(connection, caller, child, when, to_text(at))

    @write("start children")
    def start_children(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        new: NewChildren,
        *,
        when: Condition,
        at: datetime,
    ) -> ChildrenStarted:
        return starting.start(connection, caller, new, when, at)

    @read("list instances")
    def page(
        self,
        connection: sqlite3.Connection,
        which: InstanceFilter,
        *,
        after: InstanceSummary | None = None,
        limit: int = 100,
    ) -> list[InstanceSummary]:
        values.check_limit(limit)
        asked = {
            **records.columns(which),
            "created_at": _NEWEST if after is None else to_text(after.created_at),
            "instance_id": "" if after is None else after.instance_id,
            "limit": limit,
        }
        return rows.found(connection, _SQL[f"page.{stored.kind(which)}"], asked, records.summary)

    @read("count instances")
    def count(self, connection: sqlite3.Connection, which: InstanceFilter) -> int:
        query = _SQL[f"count.{stored.kind(which)}"]
        [found] = connection.execute(query, records.columns(which)).fetchone()
        return int(found)

    @write_and_tell("finish an instance")
    def finish(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        caller: Caller,
        ending: Ending,
        *,
        when: Condition,
        at: datetime,
    ) -> RunState | None:
        before = moves.run_state(connection, caller.instance_id)
        if before is not None and before.admits(caller, when):
            moves.end(connection, caller.instance_id, ending, to_text(at), heard)
        return before

    @write("block an instance")
    def block(
        self,
        connection: sqlite3.Connection,
        caller: Caller,
        reason: str,
        *,
        when: Condition,
        at: datetime,
    ) -> RunState | None:
        values.check_note("reason", reason)
        before = moves.run_state(connection, caller.instance_id)
        if before is not None and before.admits(caller, when):
            moves.block(connection, caller.instance_id, reason)
        return before

    async def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        values.check_limit(limit)
        pruned, is_last = 0, False
        while pruned < limit and not is_last:
            # Each part is a transaction of its own, so that other steps come in between. If the
            # caller is cancelled, the rest stays for the next time.
            gone, is_last = await self._prune_some(to_text(finished_before), limit - pruned)
            pruned += gone
        return pruned

    @write("delete finished instances")
    def _prune_some(
        self, connection: sqlite3.Connection, finished_before: str, limit: int
    ) -> tuple[int, bool]:
        """
        Delete some of the oldest; return how many are gone, and whether no more are left to delete.

        An instance with very many rows takes several transactions: its rows go first, and the
        instance itself goes with the last of them.
        """
        most = min(limit, _MOST_PRUNED)
        asked = {"finished_before": finished_before, "limit": most}
        oldest = [instance_id for (instance_id,) in connection.execute(_SQL["prune.find"], asked)]
        left = _MOST_PRUNED_ROWS
        for statement in _PRUNE_BELONGINGS:
            left -= _delete(connection, statement, oldest, rows=left)
        if left == 0:
            return 0, False
        _delete(connection, _SQL["prune.associations"], oldest)
        _delete(connection, _SQL["prune.instances"], oldest)
        return len(oldest), len(oldest) < most


def _register_unknown(
    connection: sqlite3.Connection, registration: Registration, at: str
) -> Registered:
    if not registration.may_create:
        return Registered.of_unknown(registration, 0)
    created = {
        "instance_id": registration.instance_id,
        "tenant_id": registration.tenant_id,
        "at": at,
    }
    connection.execute(_SQL["register.create"], created)
    _begin_run(connection, registration, at)
    return Registered.of_unknown(registration, 1)


def _begin_run(connection: sqlite3.Connection, registration: Registration, at: str) -> None:
    begun = {
        "instance_id": registration.instance_id,
        "status": MOVES[Move.REGISTER].target.status,
        "workflow": registration.workflow,
        "code_version": registration.code_version,
        "at": at,
    }
    connection.execute(_SQL["register.begin_run"], begun)
    connection.execute(_SQL["register.settle_resume"], begun)
    connection.execute(_SQL["register.add_started"], begun)


def _delete(
    connection: sqlite3.Connection, statement: str, instance_ids: list[str], *, rows: int = 0
) -> int:
    asked = {"instance_ids": json.dumps(instance_ids), "rows": rows}
    return connection.execute(statement, asked).rowcount
