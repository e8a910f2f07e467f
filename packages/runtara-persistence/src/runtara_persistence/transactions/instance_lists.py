"""Lists of instances as operators see them, and metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.instance_lists import InstanceOrder
from runtara_persistence import queries, records, stored
from runtara_persistence.transactions.transaction import (
    Transacting,
    Transaction,
    fetch,
    only,
    transact,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
    from runtara_domain.model.metrics import MetricsBucket

_SQL = queries.shared("instance_lists.sql")
_SUMS = (
    *("completed", "failed", "cancelled", "average_ms", "shortest_ms", "longest_ms"),
    *("memory_sum", "memory_count", "max_memory_bytes"),
)
_MILLISECOND = timedelta(milliseconds=1)


class InstanceListTransactions(Transacting):
    """The part of `runtara_domain.ports.launches.Launches` that lists, counts and sums up."""

    @transact("list instances", reads_much=True)
    def instances(
        self,
        which: InstanceQuery,
        *,
        order: InstanceOrder = InstanceOrder.CREATED_DESC,
        after: InstancePlace | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Transaction[Sequence[ListedInstance]]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        found = yield from fetch(
            _SQL[f"page.{order}"],
            **records.columns(which),
            moment=None if after is None else after.moment,
            after_id=None if after is None else after.instance_id,
            offset=offset,
            limit=limit,
        )
        return [records.listed(row) for row in found]

    @transact("count instances", reads_much=True)
    def count_instances(
        self, which: InstanceQuery, *, limit: int | None = None
    ) -> Transaction[int]:
        most = values.MAX_INTEGER if limit is None else limit
        row = yield from only(_SQL["count"], **records.columns(which), limit=most)
        return int(row["count"])

    @transact("sum up a tenant's instances", reads_much=True)
    def metrics(
        self, tenant_id: str, *, since: datetime, until: datetime, period: timedelta
    ) -> Transaction[Sequence[MetricsBucket]]:
        values.check_storable("tenant_id", tenant_id)
        found = yield from fetch(
            _SQL["metrics"],
            tenant_id=tenant_id,
            since=since,
            until=until,
            period_ms=period // _MILLISECOND,
        )
        return [
            stored.bucket(since + row["bucket"] * period, *(row[name] for name in _SUMS))
            for row in found
        ]
