"""Environments in memory; their leases expire by the clock that the adapter was given."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from runtara_domain import values
from runtara_domain.model.environments import Lease, NewEnvironment, Renewal
from runtara_domain.model.stored_environments import Environment, EnvironmentKind
from runtara_persistence.memory import launching
from runtara_persistence.memory.store import OnStore, step

FORGOTTEN_AFTER = timedelta(days=1)


class MemoryEnvironments(OnStore):
    """Fits `runtara_domain.ports.environments.Environments`."""

    @step
    def open(self, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        now = self._store.clock.now()
        self._forget_gone(now)
        known = self._store.environments.get(new.environment_id)
        if known is not None and known.kind != new.kind:
            raise new.another_kind()
        is_draining = (
            known is not None
            and known.is_draining
            and new.kind is EnvironmentKind.WORKER
            and known.closed_at is None
            and known.lease_until > now
        )
        self._adopt_associations()
        self._store.environments[new.environment_id] = Environment(
            environment_id=new.environment_id,
            kind=new.kind,
            tenant_id=new.tenant_id,
            machine=new.machine,
            boot_id=new.boot_id,
            version=new.version,
            capacity=new.capacity,
            open_launches=0,
            workflows=tuple(sorted(new.workflows)),
            started_at=now,
            lease_until=now + ttl,
            is_draining=is_draining,
        )
        if new.kind is EnvironmentKind.WORKER:
            self._store.watchers.tell_launchable()
        return Lease(now=now, until=now + ttl, is_draining=is_draining)

    @step
    def renew(
        self,
        environment_id: str,
        *,
        ttl: timedelta,
        clock_offset: timedelta = timedelta(0),
        silence: timedelta = timedelta(seconds=120),
        lost_silence: timedelta = timedelta(seconds=45),
    ) -> Renewal | None:
        values.check_storable("environment_id", environment_id)
        now = self._store.clock.now()
        row = self._store.environments.get(environment_id)
        if row is None or row.closed_at is not None:
            return None
        row = replace(
            row, lease_until=now + ttl, clock_offset_ms=clock_offset // timedelta(milliseconds=1)
        )
        self._store.environments[environment_id] = row
        moments = list(launching.moments(self._store, silence, lost_silence))
        stops = (
            each.stop_at
            for each in self._store.instances.values()
            if each.stop_at is not None and not each.state.is_final
        )
        return Renewal(
            now=now,
            until=row.lease_until,
            is_draining=row.is_draining,
            is_anything_launchable=any(moment <= now for moment in moments),
            next_launchable_at=min((each for each in moments if each > now), default=None),
            next_stop_at=min(stops, default=None),
            next_tick_at=min(
                (each.wakes_at for each in self._store.schedules.values() if each.wakes_at),
                default=None,
            ),
            lost=frozenset(self._lost(environment_id, now)),
            next_lease_over_at=self._next_lease_over(environment_id, now),
        )

    @step
    def close(self, environment_id: str) -> None:
        values.check_storable("environment_id", environment_id)
        row = self._store.environments.get(environment_id)
        if row is not None and row.closed_at is None:
            now = self._store.clock.now()
            until = min(row.lease_until, now)
            closed = replace(row, closed_at=now, lease_until=until)
            self._store.environments[environment_id] = closed

    @step
    def drain(self, environment_id: str, *, draining: bool) -> bool:
        values.check_storable("environment_id", environment_id)
        row = self._store.environments.get(environment_id)
        if row is None:
            return False
        self._store.environments[environment_id] = replace(row, is_draining=draining)
        self._store.watchers.tell_launchable()
        return True

    @step
    def leave(self, environment_id: str) -> None:
        values.check_storable("environment_id", environment_id)
        row = self._store.environments.get(environment_id)
        if row is not None:
            self._store.environments[environment_id] = replace(row, capacity=0)

    @step
    def page(self, *, gone_for: timedelta = timedelta(days=1)) -> Sequence[Environment]:
        since = self._store.clock.now() - gone_for
        return [
            replace(row, open_launches=launching.open_count(self._store, row.environment_id))
            for _, row in sorted(self._store.environments.items())
            if row.lease_until >= since
        ]

    def _lost(self, own_id: str, now: datetime) -> set[str]:
        owners = {row.environment_id for row in launching.open_rows(self._store)}
        return {
            each for each in owners - {own_id} if not launching.is_living(self._store, each, now)
        }

    def _next_lease_over(self, own_id: str, now: datetime) -> datetime | None:
        owners = {row.environment_id for row in launching.open_rows(self._store)} - {own_id}
        rows = [row for each in owners if (row := self._store.environments.get(each)) is not None]
        leases = (row.lease_until for row in rows if row.closed_at is None)
        return min((each for each in leases if each > now), default=None)

    def _forget_gone(self, now: datetime) -> None:
        owners = {row.environment_id for row in launching.open_rows(self._store)}
        for environment_id, row in list(self._store.environments.items()):
            if row.lease_until < now - FORGOTTEN_AFTER and environment_id not in owners:
                del self._store.environments[environment_id]

    def _adopt_associations(self) -> None:
        for association in self._store.instance_images.values():
            row = self._store.instances.get(association.instance_id)
            if row is not None and row.image_id is None and not row.state.is_final:
                row.image_id = association.image_id
