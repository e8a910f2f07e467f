"""Launches in PostgreSQL, and the steps on instances that belong to launches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_persistence import queries
from runtara_persistence.postgres.database import OnDatabase, transact
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.transactions.instance_lists import InstanceListTransactions
from runtara_persistence.transactions.launches import LaunchTransactions

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.launches import (
        Claims,
        Closed,
        Closing,
        InstanceStart,
        Judge,
        Offer,
        Started,
    )
    from runtara_persistence.batcher import Batcher, Waiting
    from runtara_persistence.postgres.closing_together import Close
    from runtara_persistence.postgres.connection import Connection

_ClosedOrNot: TypeAlias = "Closed | DatabaseError | None"
_PendingClose: TypeAlias = "Waiting[Close, _ClosedOrNot]"

_MOST_CLOSES = 100
"""The most launches that are closed together."""
_GROUPS = 2
"""How many groups of closes are under way at once."""

_SQL = queries.load("runtara_persistence.postgres", "launches.sql")


class PostgresLaunches(OnDatabase, InstanceListTransactions, LaunchTransactions):
    """
    Fits `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    async def start(
        self, start: InstanceStart, *, at: datetime, offer: Offer | None = None
    ) -> Started:
        from runtara_persistence.transactions import starting
        from runtara_persistence.transactions.transaction import Traits

        if offer is not None:
            return await self._start_and_claim(start, offer, at)
        return await self._database.perform(
            "start an instance",
            lambda: starting.start(start, at),
            Traits(is_single=starting.is_one_insert(start)),
        )

    @transact("start an instance")
    async def _start_and_claim(
        self, connection: Connection, start: InstanceStart, offer: Offer, at: datetime
    ) -> Started:
        from runtara_persistence.postgres import claiming
        from runtara_persistence.transactions import starting

        starts = starting.start(start, at)
        started = await run_transaction(connection, starts, step_timeout=None)
        if not started.created:
            return started
        return replace(started, claims=await claiming.claim_with_start(connection, offer, at))

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

    async def close(self, closing: Closing, judge: Judge, *, at: datetime) -> Closed:
        from runtara_persistence.batcher import Waiting
        from runtara_persistence.postgres.closing_together import Close

        with self._database.step():
            future: asyncio.Future[_ClosedOrNot] = asyncio.get_running_loop().create_future()
            asked = Close(closing, judge, at)
            size = len(closing.end.stderr.encode(errors="replace"))
            self._closes.add(Waiting(asked, future, (closing.launch_id,), size))
            closed = await future
            if isinstance(closed, DatabaseError):
                raise closed
            return await self._close_alone(asked) if closed is None else closed

    @transact("close a launch")
    async def _close_alone(self, connection: Connection, asked: Close) -> Closed:
        from runtara_persistence.postgres import closing

        return await closing.close(connection, asked.closing, asked.judge, asked.at)

    async def copy(self, instance_id: str) -> Copied | None:
        from runtara_persistence.transactions import copying

        values.check_storable("instance_id", instance_id)

        async def work(connection: Connection) -> Copied | None:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                taking = copying.take(instance_id)
                return await run_transaction(connection, taking, step_timeout=None)

        return await self._database.run("take a copy of an instance", work, is_repeatable=True)

    async def view(
        self, instance_id: str, *, at: datetime, tenant_limit: int | None = None
    ) -> InstanceView | None:
        from runtara_persistence.postgres import instance_views

        values.check_storable("instance_id", instance_id)
        return await instance_views.view(self._database, instance_id, at, tenant_limit)

    async def _close_together(self, closes: Sequence[Close]) -> Sequence[_ClosedOrNot]:
        from runtara_persistence.postgres.closing_together import close_together

        return await close_together(self._database, closes)
