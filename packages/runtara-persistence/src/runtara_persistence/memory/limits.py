"""Limits and holds in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from runtara_domain import values
from runtara_domain.model.limits import Hold, Limit, LimitUse, Scope
from runtara_persistence.memory import bounding, launching
from runtara_persistence.memory.rows import InstanceRow
from runtara_persistence.memory.store import OnStore, step


class MemoryLimits(OnStore):
    """Fits `runtara_domain.ports.limits.Limits`."""

    @step
    def put(self, limit: Limit) -> bool:
        key = (limit.scope.value, limit.tenant_id, limit.name)
        is_new = key not in self._store.limits
        bounding.bound(self._store, limit)
        self._store.watchers.tell_launchable()
        return is_new

    @step
    def remove(self, scope: Scope, tenant_id: str, name: str = "") -> int | None:
        key = _key(scope, tenant_id, name)
        if key not in self._store.limits:
            return None
        if scope is Scope.QUEUE:
            is_open = [row for row in self._in_queue(tenant_id, name) if not row.state.is_final]
            if is_open:
                return len(is_open)
        del self._store.limits[key]
        self._store.watchers.tell_launchable()
        return 0

    @step
    def page(self, tenant_id: str | None = None) -> Sequence[LimitUse]:
        if tenant_id is not None:
            values.check_storable("tenant_id", tenant_id)
        chosen = [
            row
            for _, row in sorted(self._store.limits.items())
            if tenant_id in (None, row.tenant_id)
        ]
        return [self._use(row) for row in chosen]

    @step
    def hold(self, hold: Hold, *, at: datetime) -> None:
        key = (hold.scope.value, hold.tenant_id, hold.name)
        known = self._store.holds.get(key)
        since = at if known is None else known.created_at
        self._store.holds[key] = replace(hold, created_at=since)

    @step
    def release(self, scope: Scope, tenant_id: str, name: str = "") -> bool:
        if self._store.holds.pop(_key(scope, tenant_id, name), None) is None:
            return False
        self._store.watchers.tell_launchable()
        return True

    @step
    def holds(self) -> Sequence[Hold]:
        return self._store.holds_in_order()

    def _use(self, row: Limit) -> LimitUse:
        running = sum(
            (row.scope, row.tenant_id, row.name) in launching.limit_keys(launch)
            for launch in launching.open_rows(self._store)
        )
        if row.scope != Scope.QUEUE:
            return LimitUse(row, running)
        waiting = [
            each.created_at
            for each in self._in_queue(row.tenant_id, row.name)
            if each.launch_id is None and not each.state.is_final
        ]
        return LimitUse(row, running, len(waiting), min(waiting, default=None))

    def _in_queue(self, tenant_id: str, name: str) -> Sequence[InstanceRow]:
        rows = self._store.instances.values()
        return [row for row in rows if (row.tenant_id, row.queue) == (tenant_id, name)]


def _key(scope: Scope, tenant_id: str, name: str) -> tuple[str, str, str]:
    values.check_storable("tenant_id", tenant_id)
    values.check_storable("name", name)
    return scope.value, tenant_id, name
