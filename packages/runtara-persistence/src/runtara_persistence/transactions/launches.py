"""The steps on instances that belong to launches, and are the same for both databases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.status import State
from runtara_persistence import queries, records
from runtara_persistence.transactions.transaction import Transacting, fetch, transact

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import InstanceCopy, PutCopy
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
    from runtara_domain.model.launches import OpenLaunch
    from runtara_domain.model.stored_launches import Launch, LaunchFilter
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("launches.sql")


class LaunchTransactions(Transacting):
    """
    A part of `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    @transact("read open launches", only_reads=True)
    def open_launches(
        self, environment_id: str, *, at: datetime
    ) -> Transaction[Sequence[OpenLaunch]]:
        found = yield from fetch(_SQL["open_launches"], environment_id=environment_id, at=at)
        return [records.open_launch(row, State(row["state"]), at) for row in found]

    @transact("stop an instance")
    def stop(self, stop: Stop, *, at: datetime) -> Transaction[Stopped]:
        from runtara_persistence.transactions import intervening

        return intervening.stop(stop, at)

    async def end_stopped(
        self, *, patience: timedelta = timedelta(seconds=2), limit: int = 100, at: datetime
    ) -> Sequence[str]:
        values.check_limit(limit)
        # Each step in a transaction of its own, so that a locked row delays no other.
        return [
            instance_id
            for instance_id in await self._overdue(patience, limit, at)
            if await self._end_stopped(instance_id, patience, at)
        ]

    @transact("find instances that were stopped", only_reads=True)
    def _overdue(self, patience: timedelta, limit: int, at: datetime) -> Transaction[list[str]]:
        from runtara_persistence.transactions import intervening

        return intervening.overdue(patience, limit, at)

    @transact("end an instance that was stopped")
    def _end_stopped(
        self, instance_id: str, patience: timedelta, at: datetime
    ) -> Transaction[bool]:
        from runtara_persistence.transactions import intervening

        return intervening.end_stopped(instance_id, patience, at)

    @transact("resume an instance")
    def resume(self, instance_id: str, *, at: datetime) -> Transaction[State | None]:
        from runtara_persistence.transactions import intervening

        values.check_storable("instance_id", instance_id)
        return intervening.resume(instance_id, at)

    @transact(
        "end the back-off of instances that waited for room", is_single=True, is_repeatable=True
    )
    def end_waits(self, instance_ids: Collection[str]) -> Transaction[None]:
        from runtara_persistence.transactions import intervening

        return intervening.end_waits(list(instance_ids))

    @transact("retry an instance")
    def retry(self, retry: Retry, *, at: datetime) -> Transaction[Retried]:
        from runtara_persistence.transactions import intervening

        return intervening.retry(retry, at)

    @transact("move an instance to another image")
    def move(self, instance_id: str, image_id: str, *, at: datetime) -> Transaction[Moved]:
        from runtara_persistence.transactions import intervening

        values.check_id("image_id", image_id)
        values.check_storable("instance_id", instance_id)
        return intervening.move(instance_id, image_id, at)

    @transact("fork an instance")
    def fork(self, fork: Fork, *, at: datetime) -> Transaction[Forked]:
        from runtara_persistence.transactions import forking

        return forking.fork(fork, at)

    @transact("delete an instance")
    def delete(self, deletion: Deletion) -> Transaction[Deleted]:
        from runtara_persistence.transactions import deleting

        values.check_storable("instance_id", deletion.instance_id)
        return deleting.delete(deletion)

    @transact("put a copy of an instance in")
    def put_copy(
        self, copy: InstanceCopy, source: str, *, image_id: str | None, at: datetime
    ) -> Transaction[PutCopy]:
        from runtara_persistence.transactions import copying

        return copying.put(copy, source, image_id, at)

    @transact("list launches", reads_much=True)
    def page(
        self, which: LaunchFilter, *, after: str | None = None, limit: int = 100
    ) -> Transaction[Sequence[Launch]]:
        values.check_limit(limit)
        asked = {**records.columns(which), "after": after, "limit": limit}
        found = yield from fetch(_SQL["page"], **asked)
        return [records.launch(row) for row in found]
