"""Instances in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model import Registered
from runtara_domain.status import MOVES, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import children, reopening, rows, superseding
from runtara_persistence.sqlite.database import read, write, write_and_tell
from runtara_persistence.sqlite.rows import to_text

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        ChildStarted,
        Ending,
        Instance,
        InstanceFilter,
        InstanceSummary,
        NewChild,
        NewInstance,
        Registration,
        Reopened,
        Reopening,
        Report,
        RunState,
    )
    from runtara_domain.status import Condition
    from runtara_persistence.sqlite.database import Database
    from runtara_persistence.sqlite.watch import Watch

_SQL = queries.load("runtara_persistence.sqlite", "instances.sql")
# One query for each filter: it finds rows by that filter's index and checks the other filters.
_KINDS = (
    "of_parent",
    "blocked",
    "of_workflow",
    "any",
    "of_tenant",
    "in_status",
    "of_tenant_in_status",
)
_PAGE = {kind: _SQL[f"page.{kind}"] for kind in _KINDS}
_COUNT = {kind: _SQL[f"count.{kind}"] for kind in _KINDS}
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


class SqliteInstances:
    """
    Fits `runtara_domain.ports.instances.Instances`; calls the watch for parents that get an end.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch

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
                superseding.close_launch(connection, registration.instance_id, to_text(at))
            _begin_run(connection, registration, to_text(at))
            run += 1
        found = (before, tenant_id, checkpoint_exists, run, given, launch_is_open)
        return Registered(*found, bool(is_blank), rows.signal(signal_type, payload))

    @read("read an instance")
    def get(self, connection: sqlite3.Connection, instance_id: str) -> Instance | None:
        values.check_storable("instance_id", instance_id)
        row = connection.execute(_SQL["get"], {"instance_id": instance_id}).fetchone()
        return None if row is None else rows.instance(row)

    @read("read how an instance stands")
    def run_state(self, connection: sqlite3.Connection, instance_id: str) -> RunState | None:
        return _run_state(connection, instance_id)

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
        found = connection.execute(_SQL["run_state"], said).fetchone()
        if found is None:
            return None
        before = rows.run_state(*found)
        if before.admits(caller, when):
            connection.execute(_SQL["report"], said)
        return before

    @write("create an instance")
    def create(self, connection: sqlite3.Connection, new: NewInstance, *, at: datetime) -> bool:
        created = {
            "instance_id": new.instance_id,
            "tenant_id": new.tenant_id,
            "input": new.input,
            "workflow": new.workflow,
            "at": to_text(at),
        }
        return connection.execute(_SQL["create"], created).rowcount == 1

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

    @read("read the input of an instance")
    def input(self, connection: sqlite3.Connection, instance_id: str) -> bytes | None:
        values.check_storable("instance_id", instance_id)
        row = connection.execute(_SQL["input"], {"instance_id": instance_id}).fetchone()
        return None if row is None else row[0]

    @read("read how instances stand")
    def run_states(
        self, connection: sqlite3.Connection, instance_ids: Collection[str]
    ) -> Mapping[str, RunState]:
        asked = {"instance_ids": json.dumps(list(instance_ids))}
        found = connection.execute(_SQL["run_states"], asked)
        return {instance_id: rows.run_state(*columns) for instance_id, *columns in found}

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
            **_asked(which),
            "created_at": _NEWEST if after is None else to_text(after.created_at),
            "instance_id": "" if after is None else after.instance_id,
            "limit": limit,
        }
        return [rows.summary(row) for row in connection.execute(_PAGE[_kind(which)], asked)]

    @read("count instances")
    def count(self, connection: sqlite3.Connection, which: InstanceFilter) -> int:
        [found] = connection.execute(_COUNT[_kind(which)], _asked(which)).fetchone()
        return int(found)

    @read("find silent instances")
    def inactive_since(
        self, connection: sqlite3.Connection, since: datetime, *, limit: int = 100
    ) -> list[InstanceSummary]:
        values.check_limit(limit)
        found = connection.execute(
            _SQL["inactive_since"], {"since": to_text(since), "limit": limit}
        )
        return [rows.summary(row) for row in found]

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
        before = _run_state(connection, caller.instance_id)
        if before is not None and before.admits(caller, when):
            finished = {
                "instance_id": caller.instance_id,
                "status": ending.state.status,
                "output": ending.output,
                "error": ending.error,
                "stderr": ending.stderr,
                "memory_peak_bytes": ending.memory_peak_bytes,
                "cpu_usage_usec": ending.cpu_usage_usec,
                "at": to_text(at),
            }
            [(parent_id,)] = connection.execute(_SQL["finish.move"], finished).fetchall()
            children.tell_parent(
                connection, caller.instance_id, parent_id, ending, to_text(at), heard
            )
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
        before = _run_state(connection, caller.instance_id)
        if before is not None and before.admits(caller, when):
            blocked = {
                "instance_id": caller.instance_id,
                "status": MOVES[Move.BLOCK].target.status,
                "reason": reason,
                "waits": None,
            }
            connection.execute(_SQL["block.move"], blocked)
        return before

    @write("reopen an instance")
    def reopen(
        self,
        connection: sqlite3.Connection,
        asked: Reopening,
        *,
        when: Condition,
        at: datetime,
    ) -> Reopened:
        return reopening.reopen(connection, asked, when, at)

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


def _run_state(connection: sqlite3.Connection, instance_id: str) -> RunState | None:
    row = connection.execute(_SQL["run_state"], {"instance_id": instance_id}).fetchone()
    return None if row is None else rows.run_state(*row)


def _register_unknown(
    connection: sqlite3.Connection, registration: Registration, at: str
) -> Registered:
    unnamed = registration.checkpoint_id is None
    unlaunched = registration.launch_id is None
    if not unnamed or not unlaunched or registration.continue_run is not None:
        return Registered(
            None,
            registration.tenant_id,
            checkpoint_exists=unnamed,
            run=0,
            launch_is_open=unlaunched,
        )
    created = {
        "instance_id": registration.instance_id,
        "tenant_id": registration.tenant_id,
        "at": at,
    }
    connection.execute(_SQL["register.create"], created)
    _begin_run(connection, registration, at)
    return Registered(None, registration.tenant_id, checkpoint_exists=True, run=1, is_blank=True)


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


def _kind(which: InstanceFilter) -> str:
    if which.parent_id is not None:
        return "of_parent"
    if which.blocked:
        return "blocked"
    if which.workflow is not None:
        return "of_workflow"
    if which.tenant_id is not None:
        return "of_tenant" if which.status is None else "of_tenant_in_status"
    return "any" if which.status is None else "in_status"


def _asked(which: InstanceFilter) -> dict[str, object]:
    return {
        "tenant_id": which.tenant_id,
        "status": which.status,
        "workflow": which.workflow,
        "parent_id": which.parent_id,
        "blocked": which.blocked,
    }


def _delete(
    connection: sqlite3.Connection, statement: str, instance_ids: list[str], *, rows: int = 0
) -> int:
    asked = {"instance_ids": json.dumps(instance_ids), "rows": rows}
    return connection.execute(statement, asked).rowcount
