"""Launches in PostgreSQL, and the steps on instances that belong to launches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import asyncpg

from runtara_domain import values
from runtara_domain.model.instance_lists import InstanceOrder
from runtara_domain.status import SignalType, State
from runtara_persistence import queries
from runtara_persistence.postgres import instance_lists

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied, InstanceCopy, PutCopy
    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.interventions import (
        Deleted,
        Deletion,
        Fork,
        Forked,
        Moved,
        Retried,
        Retry,
        Stop,
        Stopped,
    )
    from runtara_domain.model.launches import (
        Claims,
        Closed,
        Closing,
        InstanceStart,
        Judge,
        Offer,
        OpenLaunch,
        Started,
    )
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_domain.model.stored_launches import Launch, LaunchFilter
    from runtara_persistence.batcher import Batcher, Waiting
    from runtara_persistence.postgres.closing_together import Close
    from runtara_persistence.postgres.database import Connection, Database

T = TypeVar("T")
_PendingClose: TypeAlias = "Waiting[Close, Closed | None]"

_MOST_CLOSES = 100
"""The most launches that are closed together."""
_GROUPS = 2
"""How many groups of closes are under way at once."""

_SQL = queries.load("runtara_persistence.postgres", "launches.sql")


class PostgresLaunches:
    """
    Fits `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(
        self, start: InstanceStart, *, at: datetime, offer: Offer | None = None
    ) -> Started:
        from runtara_persistence.postgres import starting

        def step(connection: Connection) -> Awaitable[Started]:
            return starting.start(connection, start, at, offer)

        attempt = "start an instance"
        if offer is None and start.image_id is None and start.dedupe_key is None:
            # One INSERT, which needs no transaction around it.
            return await self._database.run(attempt, step, is_repeatable=False)
        return await self._transact(attempt, step)

    async def claim(self, offer: Offer, *, limit: int, at: datetime) -> Claims:
        from runtara_persistence.postgres import claiming

        values.check_limit(limit)
        return await self._database.run(
            "claim instances to launch",
            lambda connection: claiming.claim(connection, offer, limit, at),
            is_repeatable=False,
        )

    async def mark_started(
        self, launch_id: str, *, handle: str | None = None, at: datetime
    ) -> bool:
        attempt = "note that a launch's process runs"
        marked = (launch_id, handle, at)
        return bool(
            await self._database.write(attempt, _SQL["mark_started"], *marked, is_repeatable=True)
        )

    @cached_property
    def _closes(self) -> Batcher[_PendingClose]:
        from runtara_persistence.batcher import TaskBatcher

        return TaskBatcher(self._close_together, most=_MOST_CLOSES, groups=_GROUPS)

    async def close(self, closing_: Closing, judge: Judge, *, at: datetime) -> Closed:
        from runtara_persistence.batcher import Waiting
        from runtara_persistence.postgres import closing
        from runtara_persistence.postgres.closing_together import ATTEMPT, Close

        with self._database.step():
            future: asyncio.Future[Closed | None] = asyncio.get_running_loop().create_future()
            asked = Close(closing_, judge, at)
            size = len(closing_.end.stderr.encode(errors="replace"))
            self._closes.add(Waiting(asked, future, closing_.launch_id, size))
            closed = await future
            if closed is not None:
                return closed
            return await self._transact(
                ATTEMPT, lambda connection: closing.close(connection, closing_, judge, at)
            )

    async def open_launches(self, environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        found = await self._database.read(
            "read open launches", _SQL["open_launches"], environment_id, at
        )
        return [_open_launch(row, at) for row in found]

    async def stop(self, stop: Stop, *, at: datetime) -> Stopped:
        from runtara_persistence.postgres import intervening

        return await self._transact(
            "stop an instance", lambda connection: intervening.stop(connection, stop, at)
        )

    async def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        from runtara_persistence.postgres import intervening

        values.check_limit(limit)
        attempt = "end instances that were stopped"
        found = await self._database.read(attempt, _SQL["end_stopped"], at, at - patience, limit)
        ended = []
        for row in found:
            # Each step in a transaction of its own, so that a locked row delays no other.
            instance_id = row["instance_id"]
            if await self._transact(attempt, intervening.ending(instance_id, at, patience)):
                ended.append(instance_id)
        return ended

    async def resume(self, instance_id: str, *, at: datetime) -> State | None:
        from runtara_persistence.postgres import intervening

        values.check_storable("instance_id", instance_id)
        return await self._transact(
            "resume an instance",
            lambda connection: intervening.resume(connection, instance_id, at),
        )

    async def end_waits(self, instance_ids: Collection[str]) -> None:
        attempt, found = "end the back-off of instances that waited for room", list(instance_ids)
        await self._database.write(attempt, _SQL["end_waits"], found, is_repeatable=True)

    async def retry(self, retry: Retry, *, at: datetime) -> Retried:
        from runtara_persistence.postgres import intervening

        return await self._transact(
            "retry an instance", lambda connection: intervening.retry(connection, retry, at)
        )

    async def move(self, instance_id: str, image_id: str, *, at: datetime) -> Moved:
        from runtara_persistence.postgres import intervening

        values.check_id("image_id", image_id)
        values.check_storable("instance_id", instance_id)
        return await self._transact(
            "move an instance to another image",
            lambda connection: intervening.move(connection, instance_id, image_id, at),
        )

    async def fork(self, fork: Fork, *, at: datetime) -> Forked:
        from runtara_persistence.postgres import forking

        return await self._transact(
            "fork an instance", lambda connection: forking.fork(connection, fork, at)
        )

    async def delete(self, deletion: Deletion) -> Deleted:
        from runtara_persistence.postgres import deleting

        values.check_storable("instance_id", deletion.instance_id)
        return await self._transact(
            "delete an instance", lambda connection: deleting.delete(connection, deletion)
        )

    async def copy(self, instance_id: str) -> Copied | None:
        from runtara_persistence.postgres import copying

        values.check_storable("instance_id", instance_id)

        async def work(connection: Connection) -> Copied | None:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await copying.take(connection, instance_id)

        return await self._database.run("take a copy of an instance", work, is_repeatable=True)

    async def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> PutCopy:
        from runtara_persistence.postgres import copying

        return await self._transact(
            "put a copy of an instance in",
            lambda connection: copying.put(connection, copy, source, image_id, at),
        )

    async def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Sequence[Launch]:
        from runtara_persistence.postgres import launch_rows

        values.check_limit(limit)
        asked = (which.instance_id, which.environment_id, which.open_only, after, limit)
        found = await self._database.read_much("list launches", _SQL["page"], *asked)
        return [launch_rows.launch(row) for row in found]

    async def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        from runtara_persistence.postgres import instance_views

        values.check_storable("instance_id", instance_id)
        return await instance_views.view(self._database, instance_id, at, tenant_limit)

    async def instances(
        self,
        which: InstanceQuery,
        *,
        order: InstanceOrder = InstanceOrder.CREATED_DESC,
        after: InstancePlace | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[ListedInstance]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        return await instance_lists.page(self._database, which, order, after, offset, limit)

    async def count_instances(self, which: InstanceQuery, *, limit: int | None = None) -> int:
        return await instance_lists.count(self._database, which, limit)

    async def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Sequence[MetricsBucket]:
        values.check_storable("tenant_id", tenant_id)
        return await instance_lists.metrics(self._database, tenant_id, since, until, period)

    async def _close_together(self, closes: Sequence[Close]) -> Sequence[Closed | None]:
        from runtara_persistence.postgres.closing_together import close_together

        return await close_together(self._database, closes)

    async def _transact(self, attempt: str, step: Callable[[Connection], Awaitable[T]]) -> T:
        async def work(connection: Connection) -> T:
            async with connection.transaction():
                return await step(connection)

        return await self._database.run(attempt, work, is_repeatable=False)


def _open_launch(row: asyncpg.Record, at: datetime) -> OpenLaunch:
    from runtara_domain.model.launches import OpenLaunch

    fields = dict(row)
    told_at, pending = fields.pop("told_at"), fields.pop("pending_signal")
    state, sleep_until = State(fields.pop("state")), row["sleep_until"]
    due = [told_at] if told_at is not None else []
    if state is State.ASLEEP and sleep_until <= at:
        due.append(sleep_until)
    return OpenLaunch(
        **fields,
        state=state,
        due_since=None if row["is_sleep_held"] else min(due, default=None),
        pending_signal=None if pending is None else SignalType(pending),
    )
