"""Limits and holds in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.limits import LimitUse, Scope
from runtara_persistence import queries, records
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import OnDatabase, read, write
from runtara_persistence.sqlite.rows import from_optional, to_text

if TYPE_CHECKING:
    from runtara_domain.model.limits import Hold, Limit
    from runtara_persistence.records import Row

_SQL = queries.load("runtara_persistence.sqlite", "limits.sql")


class SqliteLimits(OnDatabase):
    """Fits `runtara_domain.ports.limits.Limits`."""

    @write("set a limit")
    def put(self, connection: sqlite3.Connection, limit: Limit) -> bool:
        period = limit.rate_period
        row = {
            **_key(limit.scope, limit.tenant_id, limit.name),
            "max_concurrent": limit.max_concurrent,
            "per_environment": limit.per_environment,
            "rate": limit.rate,
            "rate_period_ms": None if period is None else period // timedelta(milliseconds=1),
        }
        is_new = connection.execute(_SQL["exists"], row).fetchone() is None
        connection.execute(_SQL["put"], row)
        connection.execute(_SQL["bound"], row)
        return is_new

    @write("take a limit away")
    def remove(
        self, connection: sqlite3.Connection, scope: Scope, tenant_id: str, name: str = ""
    ) -> int | None:
        key = _key(scope, tenant_id, name)
        if connection.execute(_SQL["exists"], key).fetchone() is None:
            return None
        if scope is Scope.QUEUE:
            [waiting] = connection.execute(_SQL["remove.in_queue"], key).fetchone()
            if waiting:
                return int(waiting)
        connection.execute(_SQL["remove"], key)
        return 0

    @read("list limits")
    def page(
        self, connection: sqlite3.Connection, tenant_id: str | None = None
    ) -> Sequence[LimitUse]:
        if tenant_id is not None:
            values.check_storable("tenant_id", tenant_id)
        return rows.found(connection, _SQL["page"], {"of_tenant": tenant_id}, _use)

    @write("hold")
    def hold(self, connection: sqlite3.Connection, hold: Hold, *, at: datetime) -> None:
        key = _key(hold.scope, hold.tenant_id, hold.name)
        connection.execute(_SQL["hold"], {**key, "reason": hold.reason, "at": to_text(at)})

    @write("release a hold")
    def release(
        self, connection: sqlite3.Connection, scope: Scope, tenant_id: str, name: str = ""
    ) -> bool:
        return connection.execute(_SQL["release"], _key(scope, tenant_id, name)).rowcount == 1

    @read("list holds")
    def holds(self, connection: sqlite3.Connection) -> Sequence[Hold]:
        return rows.found(connection, _SQL["holds"], {}, records.hold)


def _use(row: Row) -> LimitUse:
    waiting, oldest = json.loads(row["queued"])
    return LimitUse(records.limit(row), row["running"], waiting, from_optional(oldest))


def _key(scope: Scope, tenant_id: str, name: str) -> dict[str, object]:
    return {"scope": scope.value, "tenant_id": tenant_id, "name": name}
