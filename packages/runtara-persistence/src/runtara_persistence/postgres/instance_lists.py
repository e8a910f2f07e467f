"""Lists of instances as operators see them, and metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_persistence import queries, records, stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runtara_domain.model.instance_lists import (
        InstanceOrder,
        InstancePlace,
        InstanceQuery,
        ListedInstance,
    )
    from runtara_domain.model.metrics import MetricsBucket
    from runtara_persistence.postgres.database import Database

_SQL = queries.load("runtara_persistence.postgres", "instance_lists.sql")
_MILLISECOND = timedelta(milliseconds=1)


async def page(
    database: Database,
    which: InstanceQuery,
    order: InstanceOrder,
    after: InstancePlace | None,
    offset: int,
    limit: int,
) -> Sequence[ListedInstance]:
    """Return one page of a list of instances."""
    place = (None, None) if after is None else (after.moment, after.instance_id)
    asked = (*records.columns(which).values(), *place, limit, offset)
    found = await database.read_much("list instances", _SQL[f"page.{order}"], *asked)
    return [records.listed(row) for row in found]


async def count(database: Database, which: InstanceQuery, limit: int | None) -> int:
    """Count the instances that a query selects; counting stops at the limit."""
    asked = (*records.columns(which).values(), limit)
    [row] = await database.read_much("count instances", _SQL["count"], *asked)
    return int(row["count"])


async def metrics(
    database: Database, tenant_id: str, since: datetime, until: datetime, period: timedelta
) -> Sequence[MetricsBucket]:
    """Sum up the instances that finished in each period."""
    asked = (tenant_id, since, until, period // _MILLISECOND)
    found = await database.read_much("sum up a tenant's instances", _SQL["metrics"], *asked)
    sums = [list(row.values()) for row in found]
    return [stored.bucket(since + number * period, *others) for number, *others in sums]
