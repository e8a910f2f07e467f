"""Limits and holds in memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from runtara_domain import values
from runtara_domain.model.limits import Hold, Limit, LimitUse, Scope
from runtara_persistence.memory import launching, records
from runtara_persistence.memory.rows import HoldRow, InstanceRow, LimitRow
from runtara_persistence.memory.store import Store


class MemoryLimits:
    """Fits `runtara_domain.ports.limits.Limits`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, limit: Limit) -> bool:
        await self._store.yield_control()
        key = (limit.scope.value, limit.tenant_id, limit.name)
        period = limit.rate_period
        is_new = key not in self._store.limits
        self._store.limits[key] = LimitRow(
            scope=limit.scope,
            tenant_id=limit.tenant_id,
            name=limit.name,
            max_concurrent=limit.max_concurrent,
            per_environment=limit.per_environment,
            rate=limit.rate,
            rate_period_ms=None if period is None else period // timedelta(milliseconds=1),
        )
        self._store.watchers.tell_launchable()
        return is_new

    async def remove(self, scope: Scope, tenant_id: str, name: str = "") -> int | None:
        await self._store.yield_control()
        key = (scope.value, tenant_id, name)
        if key not in self._store.limits:
            return None
        if scope is Scope.QUEUE:
            is_open = [row for row in self._in_queue(tenant_id, name) if not row.state.is_final]
            if is_open:
                return len(is_open)
        del self._store.limits[key]
        self._store.watchers.tell_launchable()
        return 0

    async def page(self, tenant_id: str | None = None) -> Sequence[LimitUse]:
        if tenant_id is not None:
            values.check_storable("tenant_id", tenant_id)
        await self._store.yield_control()
        chosen = [
            row
            for _, row in sorted(self._store.limits.items())
            if tenant_id in (None, row.tenant_id)
        ]
        return [self._use(row) for row in chosen]

    async def hold(self, hold: Hold, *, at: datetime) -> None:
        await self._store.yield_control()
        key = (hold.scope.value, hold.tenant_id, hold.name)
        row = HoldRow(scope=key[0], tenant_id=key[1], name=key[2], created_at=at)
        self._store.holds.setdefault(key, row).reason = hold.reason

    async def release(self, scope: Scope, tenant_id: str, name: str = "") -> bool:
        await self._store.yield_control()
        if self._store.holds.pop((scope.value, tenant_id, name), None) is None:
            return False
        self._store.watchers.tell_launchable()
        return True

    async def holds(self) -> Sequence[Hold]:
        await self._store.yield_control()
        rows = sorted(
            self._store.holds.values(),
            key=lambda row: (row.created_at, row.scope, row.tenant_id, row.name),
        )
        return [records.hold(row) for row in rows]

    def _use(self, row: LimitRow) -> LimitUse:
        running = sum(
            (row.scope, row.tenant_id, row.name) in launching.limit_keys(launch)
            for launch in launching.open_rows(self._store)
        )
        if row.scope != Scope.QUEUE:
            return LimitUse(records.limit(row), running)
        waiting = [
            each.created_at
            for each in self._in_queue(row.tenant_id, row.name)
            if each.launch_id is None and not each.state.is_final
        ]
        return LimitUse(records.limit(row), running, len(waiting), min(waiting, default=None))

    def _in_queue(self, tenant_id: str, name: str) -> Sequence[InstanceRow]:
        rows = self._store.instances.values()
        return [row for row in rows if (row.tenant_id, row.queue) == (tenant_id, name)]
