"""Instances in SQLite."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import (
    Caller,
    ChildStarted,
    Ending,
    Instance,
    InstanceFilter,
    InstanceSummary,
    NewChild,
    NewInstance,
    Registered,
    Registration,
    Reopened,
    Reopening,
    Standing,
)
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import children, listing, pruning, reopening, rows
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.moment import to_text
from runtara_persistence.sqlite.registration import register
from runtara_persistence.sqlite.watch import Watch

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
_GET = _QUERIES["get"]
_STANDING = _QUERIES["standing"]
_STANDINGS = _QUERIES["standings"]
_TOUCH = _QUERIES["touch"]
_CREATE = _QUERIES["create"]
_INPUT = _QUERIES["input"]
_FINISH_MOVE = _QUERIES["finish.move"]
_BLOCK_MOVE = _QUERIES["block.move"]


class SqliteInstances:
    """
    Fits `runtara_domain.ports.instances.Instances`; tells the watch which parents heard of an end.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        def step(connection: sqlite3.Connection) -> Registered:
            return register(connection, registration, when, to_text(at))

        return await self._database.write("register an instance", step)

    async def get(self, instance_id: str) -> Instance | None:
        values.check_storable("instance_id", instance_id)

        def step(connection: sqlite3.Connection) -> Instance | None:
            row = connection.execute(_GET, {"instance_id": instance_id}).fetchone()
            return None if row is None else rows.instance(row)

        return await self._database.read("read an instance", step)

    async def standing(self, instance_id: str) -> Standing | None:
        def step(connection: sqlite3.Connection) -> Standing | None:
            return _standing(connection, instance_id)

        return await self._database.read("read how an instance stands", step)

    async def touch(self, callers: Collection[Caller], *, at: datetime) -> set[str]:
        moment = to_text(at)
        touched = [
            {"instance_id": caller.instance_id, "run": caller.run, "at": moment}
            for caller in callers
        ]

        def step(connection: sqlite3.Connection) -> None:
            connection.executemany(_TOUCH, touched)

        await self._database.write("note activity", step)
        return set()

    async def create(self, new: NewInstance, *, at: datetime) -> bool:
        created = {
            "instance_id": new.instance_id,
            "tenant_id": new.tenant_id,
            "input": new.input,
            "workflow": new.workflow,
            "at": to_text(at),
        }

        def step(connection: sqlite3.Connection) -> bool:
            return connection.execute(_CREATE, created).rowcount == 1

        return await self._database.write("create an instance", step)

    async def start_child(
        self, caller: Caller, child: NewChild, *, when: Condition, at: datetime
    ) -> ChildStarted:
        def step(connection: sqlite3.Connection) -> ChildStarted:
            return children.start(connection, caller, child, when, to_text(at))

        return await self._database.write("start a child", step)

    async def input(self, instance_id: str) -> bytes | None:
        values.check_storable("instance_id", instance_id)

        def step(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(_INPUT, {"instance_id": instance_id}).fetchone()
            return None if row is None else row[0]

        return await self._database.read("read the input of an instance", step)

    async def standings(self, instance_ids: Collection[str]) -> Mapping[str, Standing]:
        asked = {"instance_ids": json.dumps(list(instance_ids))}

        def step(connection: sqlite3.Connection) -> Mapping[str, Standing]:
            found = connection.execute(_STANDINGS, asked)
            return {instance_id: rows.standing(*columns) for instance_id, *columns in found}

        return await self._database.read("read how instances stand", step)

    async def page(
        self, which: InstanceFilter, *, after: InstanceSummary | None = None, limit: int = 100
    ) -> list[InstanceSummary]:
        values.check_limit(limit)

        def step(connection: sqlite3.Connection) -> list[InstanceSummary]:
            return listing.page(connection, which, after, limit)

        return await self._database.read("list instances", step)

    async def count(self, which: InstanceFilter) -> int:
        def step(connection: sqlite3.Connection) -> int:
            return listing.count(connection, which)

        return await self._database.read("count instances", step)

    async def silent(self, since: datetime, *, limit: int = 100) -> list[InstanceSummary]:
        values.check_limit(limit)

        def step(connection: sqlite3.Connection) -> list[InstanceSummary]:
            return listing.silent(connection, to_text(since), limit)

        return await self._database.read("find silent instances", step)

    async def finish(
        self, caller: Caller, ending: Ending, *, when: Condition, at: datetime
    ) -> Standing | None:
        heard: list[str] = []

        def step(connection: sqlite3.Connection) -> Standing | None:
            return _finish(connection, caller, ending, when, to_text(at), heard)

        return await self._database.write(
            "finish an instance", step, then=lambda _: self._watch.tell(heard)
        )

    async def block(
        self, caller: Caller, reason: str, *, when: Condition, at: datetime
    ) -> Standing | None:
        values.check_note("reason", reason)

        def step(connection: sqlite3.Connection) -> Standing | None:
            return _block(connection, caller, reason, when)

        return await self._database.write("block an instance", step)

    async def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Reopened:
        def step(connection: sqlite3.Connection) -> Reopened:
            return reopening.reopen(connection, asked, when, at)

        return await self._database.write("reopen an instance", step)

    async def prune(self, finished_before: datetime, *, limit: int = 1000) -> int:
        values.check_limit(limit)
        pruned = 0
        while pruned < limit:
            # Each its own transaction, so that the steps of others come in between; a caller that
            # is cancelled leaves the rest for the next time.
            step = pruning.batch(to_text(finished_before), limit - pruned)
            batch = await self._database.write("delete finished instances", step)
            pruned += batch.instances
            if batch.is_last:
                break
        return pruned


def _standing(connection: sqlite3.Connection, instance_id: str) -> Standing | None:
    row = connection.execute(_STANDING, {"instance_id": instance_id}).fetchone()
    return None if row is None else rows.standing(*row)


def _finish(
    connection: sqlite3.Connection,
    caller: Caller,
    ending: Ending,
    when: Condition,
    at: str,
    heard: list[str],
) -> Standing | None:
    before = _standing(connection, caller.instance_id)
    if before is not None and before.admits(caller, when):
        finished = {
            "instance_id": caller.instance_id,
            "status": ending.state.status,
            "output": ending.output,
            "error": ending.error,
            "stderr": ending.stderr,
            "memory_peak_bytes": ending.memory_peak_bytes,
            "cpu_usage_usec": ending.cpu_usage_usec,
            "at": at,
        }
        [(parent_id,)] = connection.execute(_FINISH_MOVE, finished).fetchall()
        children.tell_parent(connection, caller.instance_id, parent_id, ending, at, heard)
    return before


def _block(
    connection: sqlite3.Connection, caller: Caller, reason: str, when: Condition
) -> Standing | None:
    before = _standing(connection, caller.instance_id)
    if before is not None and before.admits(caller, when):
        blocked = {
            "instance_id": caller.instance_id,
            "status": MOVES[Move.BLOCK].target.status,
            "reason": reason,
            "waits": None,
        }
        connection.execute(_BLOCK_MOVE, blocked)
    return before
