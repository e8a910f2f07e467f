"""Environments in PostgreSQL; their leases expire by the database's clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_domain.model.environments import Lease, Renewal
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_persistence import queries, records
from runtara_persistence.postgres.database import OnDatabase, transact

if TYPE_CHECKING:
    from runtara_domain.model.environments import NewEnvironment
    from runtara_domain.model.stored_environments import Environment
    from runtara_persistence.postgres.connection import Connection

_SQL = queries.load("runtara_persistence.postgres", "environments.sql")

_MILLISECOND = timedelta(milliseconds=1)


class PostgresEnvironments(OnDatabase):
    """Fits `runtara_domain.ports.environments.Environments`."""

    @transact("take an environment's lease", is_repeatable=True)
    async def open(self, connection: Connection, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        await connection.execute(_SQL["open.forget"])
        await connection.execute(_SQL["open.adopt"])
        found = await connection.fetch(
            _SQL["open"],
            new.environment_id,
            new.kind.value,
            new.tenant_id,
            new.machine,
            new.boot_id,
            new.version,
            new.capacity,
            json.dumps(sorted(new.workflows)),
            ttl,
        )
        if not found:
            raise new.another_kind()
        [row] = found
        if new.kind is EnvironmentKind.WORKER:
            await connection.execute(_SQL["tell"])
        return Lease(now=row["now"], until=row["lease_until"], is_draining=row["is_draining"])

    async def renew(
        self,
        environment_id: str,
        *,
        ttl: timedelta,
        clock_offset: timedelta = timedelta(0),
        silence: timedelta = timedelta(seconds=120),
        lost_silence: timedelta = timedelta(seconds=45),
    ) -> Renewal | None:
        found = await self._database.write(
            "renew an environment's lease",
            _SQL["renew"],
            environment_id,
            ttl,
            clock_offset // _MILLISECOND,
            lost_silence,
            silence,
            is_repeatable=True,
        )
        if not found:
            return None
        [row] = found
        return Renewal(
            now=row["now"],
            until=row["lease_until"],
            is_draining=row["is_draining"],
            is_anything_launchable=row["is_anything_launchable"],
            next_launchable_at=row["next_launchable_at"],
            next_stop_at=row["next_stop_at"],
            next_tick_at=row["next_tick_at"],
            lost=frozenset(row["lost"]),
            next_lease_over_at=row["next_lease_over_at"],
        )

    async def close(self, environment_id: str) -> None:
        attempt = "end an environment's lease"
        await self._database.write(attempt, _SQL["close"], environment_id, is_repeatable=True)

    async def drain(self, environment_id: str, *, draining: bool) -> bool:
        found = await self._database.write(
            "drain an environment", _SQL["drain"], environment_id, draining, is_repeatable=True
        )
        return bool(found)

    async def leave(self, environment_id: str) -> None:
        attempt = "have an environment claim nothing more"
        await self._database.write(attempt, _SQL["leave"], environment_id, is_repeatable=True)

    async def page(self, *, gone_for: timedelta = timedelta(days=1)) -> Sequence[Environment]:
        found = await self._database.read("list environments", _SQL["page"], gone_for)
        return [records.environment(row) for row in found]
