"""The steps on instances that are the same for both databases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_persistence import queries, records
from runtara_persistence.transactions.transaction import Transacting, fetch, first, transact

if TYPE_CHECKING:
    from runtara_domain.model import (
        Instance,
        InstanceSummary,
        NewInstance,
        Reopened,
        Reopening,
        RunState,
    )
    from runtara_domain.status import Condition
    from runtara_persistence.transactions.transaction import Transaction

_SQL = queries.shared("instances.sql")


class InstanceTransactions(Transacting):
    """A part of `runtara_domain.ports.instances.Instances`."""

    @transact("read an instance", only_reads=True)
    def get(self, instance_id: str) -> Transaction[Instance | None]:
        values.check_storable("instance_id", instance_id)
        row = yield from first(_SQL["get"], instance_id=instance_id)
        return None if row is None else records.instance(row)

    @transact("read the input of an instance", only_reads=True)
    def input(self, instance_id: str) -> Transaction[bytes | None]:
        values.check_storable("instance_id", instance_id)
        row = yield from first(_SQL["input"], instance_id=instance_id)
        return None if row is None else row["input"]

    @transact("read how an instance stands", only_reads=True)
    def run_state(self, instance_id: str) -> Transaction[RunState | None]:
        row = yield from first(_SQL["run_state"], instance_id=instance_id)
        return None if row is None else records.run_state(row)

    @transact("read how instances stand", only_reads=True)
    def run_states(self, instance_ids: Collection[str]) -> Transaction[Mapping[str, RunState]]:
        found = yield from fetch(_SQL["run_states"], instance_ids=list(instance_ids))
        return {row["instance_id"]: records.run_state(row) for row in found}

    @transact("create an instance", is_single=True)
    def create(self, new: NewInstance, *, at: datetime) -> Transaction[bool]:
        created = yield from first(_SQL["create"], **records.columns(new), at=at)
        return created is not None

    @transact("find silent instances", only_reads=True)
    def inactive_since(
        self, since: datetime, *, limit: int = 100
    ) -> Transaction[list[InstanceSummary]]:
        values.check_limit(limit)
        found = yield from fetch(_SQL["inactive_since"], since=since, limit=limit)
        return [records.summary(row) for row in found]

    @transact("reopen an instance")
    def reopen(self, asked: Reopening, *, when: Condition, at: datetime) -> Transaction[Reopened]:
        from runtara_persistence.transactions import reopening

        return reopening.reopen(asked, when, at)
