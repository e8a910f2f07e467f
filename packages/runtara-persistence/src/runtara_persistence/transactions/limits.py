"""Limits and holds in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.limits import LimitUse, Scope
from runtara_persistence import queries, records
from runtara_persistence.transactions.transaction import (
    Transacting,
    Transaction,
    fetch,
    first,
    only,
    transact,
)

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold, Limit

_SQL = queries.shared("limits.sql")


class LimitTransactions(Transacting):
    """Fits `runtara_domain.ports.limits.Limits`."""

    @transact("set a limit")
    def put(self, limit: Limit) -> Transaction[bool]:
        period = limit.rate_period
        key = _key(limit.scope, limit.tenant_id, limit.name)
        known = yield from first(_SQL["lock"], **key)
        yield from fetch(
            _SQL["put"],
            **key,
            max_concurrent=limit.max_concurrent,
            per_environment=limit.per_environment,
            rate=limit.rate,
            rate_period_ms=None if period is None else period // timedelta(milliseconds=1),
        )
        yield from fetch(_SQL["bound"], **key)
        return known is None

    @transact("remove a limit")
    def remove(self, scope: Scope, tenant_id: str, name: str = "") -> Transaction[int | None]:
        key = _key(scope, tenant_id, name)
        if (yield from first(_SQL["lock"], **key)) is None:
            return None
        if scope is Scope.QUEUE:
            row = yield from only(_SQL["remove.in_queue"], **key)
            if row["waiting"]:
                return int(row["waiting"])
        yield from fetch(_SQL["remove"], **key)
        return 0

    @transact("list limits", only_reads=True)
    def page(self, tenant_id: str | None = None) -> Transaction[Sequence[LimitUse]]:
        if tenant_id is not None:
            values.check_storable("tenant_id", tenant_id)
        found = yield from fetch(_SQL["page"], of_tenant=tenant_id)
        return [
            LimitUse(records.limit(row), row["running"], row["waiting"], row["oldest_at"])
            for row in found
        ]

    @transact("hold", is_single=True, is_repeatable=True)
    def hold(self, hold: Hold, *, at: datetime) -> Transaction[None]:
        key = _key(hold.scope, hold.tenant_id, hold.name)
        yield from fetch(_SQL["hold"], **key, reason=hold.reason, at=at)

    @transact("release a hold", is_single=True)
    def release(self, scope: Scope, tenant_id: str, name: str = "") -> Transaction[bool]:
        return (yield from first(_SQL["release"], **_key(scope, tenant_id, name))) is not None

    @transact("list holds", only_reads=True)
    def holds(self) -> Transaction[Sequence[Hold]]:
        return [records.hold(row) for row in (yield from fetch(_SQL["holds"]))]


def _key(scope: Scope, tenant_id: str, name: str) -> dict[str, str]:
    values.check_storable("tenant_id", tenant_id)
    values.check_storable("name", name)
    return {"scope": scope.value, "tenant_id": tenant_id, "name": name}
