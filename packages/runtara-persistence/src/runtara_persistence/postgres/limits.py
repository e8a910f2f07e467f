"""Limits and holds in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.limits import LimitUse
from runtara_persistence import queries, records
from runtara_persistence.postgres.database import OnDatabase, transact

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold, Limit, Scope
    from runtara_persistence.postgres.connection import Connection

_SQL = queries.load("runtara_persistence.postgres", "limits.sql")


class PostgresLimits(OnDatabase):
    """Fits `runtara_domain.ports.limits.Limits`."""

    @transact("set a limit")
    async def put(self, connection: Connection, limit: Limit) -> bool:
        period = limit.rate_period
        key = (limit.scope.value, limit.tenant_id, limit.name)
        [row] = await connection.fetch(
            _SQL["put"],
            *key,
            limit.max_concurrent,
            limit.per_environment,
            limit.rate,
            None if period is None else period // timedelta(milliseconds=1),
        )
        await connection.execute(_SQL["bound"], *key)
        return bool(row["is_new"])

    async def remove(self, scope: Scope, tenant_id: str, name: str = "") -> int | None:
        found = await self._database.write(
            "remove a limit", _SQL["remove"], scope.value, tenant_id, name
        )
        return int(found[0]["number"]) if found else None

    async def page(self, tenant_id: str | None = None) -> Sequence[LimitUse]:
        if tenant_id is not None:
            values.check_storable("tenant_id", tenant_id)
        found = await self._database.read("list limits", _SQL["page"], tenant_id)
        return [
            LimitUse(records.limit(row), row["running"], row["waiting"], row["oldest"])
            for row in found
        ]

    async def hold(self, hold: Hold, *, at: datetime) -> None:
        key = (hold.scope.value, hold.tenant_id, hold.name)
        await self._database.write("hold", _SQL["hold"], *key, hold.reason, at, is_repeatable=True)

    async def release(self, scope: Scope, tenant_id: str, name: str = "") -> bool:
        return bool(
            await self._database.write(
                "release a hold", _SQL["release"], scope.value, tenant_id, name
            )
        )

    async def holds(self) -> Sequence[Hold]:
        found = await self._database.read("list holds", _SQL["holds"])
        return [records.hold(row) for row in found]
