"""Environments in a database; their leases expire by the database's clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.model.environments import Lease, Renewal
from runtara_domain.model.stored_environments import EnvironmentKind
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
    from runtara_domain.model.environments import NewEnvironment
    from runtara_domain.model.stored_environments import Environment

_SQL = queries.shared("environments.sql")

_FORGOTTEN_AFTER = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)


class EnvironmentTransactions(Transacting):
    """Fits `runtara_domain.ports.environments.Environments`."""

    @transact("take an environment's lease", is_repeatable=True)
    def open(self, new: NewEnvironment, *, ttl: timedelta) -> Transaction[Lease]:
        now = yield from _now()
        yield from fetch(_SQL["open.forget"], forgotten=now - _FORGOTTEN_AFTER)
        yield from fetch(_SQL["open.adopt"])
        now = yield from _now()
        row = yield from first(
            _SQL["open"],
            environment_id=new.environment_id,
            kind=new.kind.value,
            tenant_id=new.tenant_id,
            machine=new.machine,
            boot_id=new.boot_id,
            version=new.version,
            capacity=new.capacity,
            workflows=json.dumps(sorted(new.workflows)),
            now=now,
            until=now + ttl,
        )
        if row is None:
            raise new.another_kind()
        if new.kind is EnvironmentKind.WORKER:
            yield from fetch(_SQL["tell"])
        return Lease(now=now, until=now + ttl, is_draining=bool(row["is_draining"]))

    @transact("renew an environment's lease", is_single=True, is_repeatable=True)
    def renew(
        self,
        environment_id: str,
        *,
        ttl: timedelta,
        clock_offset: timedelta = timedelta(0),
        silence: timedelta = timedelta(seconds=120),
        lost_silence: timedelta = timedelta(seconds=45),
    ) -> Transaction[Renewal | None]:
        values.check_storable("environment_id", environment_id)
        clock = yield from first(_SQL["renew.now"])
        row = yield from first(
            _SQL["renew"],
            environment_id=environment_id,
            ttl=ttl,
            clock_offset_ms=clock_offset // _MILLISECOND,
            silence=silence,
            lost_silence=lost_silence,
            now=clock and clock["now_at"],
        )
        if row is None:
            return None
        return records.record(
            Renewal,
            row,
            now=row["now_at"],
            until=row["lease_until"],
            is_draining=bool(row["is_draining"]),
            is_anything_launchable=bool(row["is_anything_launchable"]),
            lost=frozenset(json.loads(row["lost"])),
        )

    @transact("end an environment's lease", is_single=True, is_repeatable=True)
    def close(self, environment_id: str) -> Transaction[None]:
        values.check_storable("environment_id", environment_id)
        now = yield from _now()
        yield from fetch(_SQL["close"], environment_id=environment_id, now=now)

    @transact("drain an environment", is_repeatable=True)
    def drain(self, environment_id: str, *, draining: bool) -> Transaction[bool]:
        values.check_storable("environment_id", environment_id)
        key = {"environment_id": environment_id, "draining": draining}
        if (yield from first(_SQL["drain"], **key)) is None:
            return False
        yield from fetch(_SQL["tell"])
        return True

    @transact("have an environment claim nothing more", is_single=True, is_repeatable=True)
    def leave(self, environment_id: str) -> Transaction[None]:
        values.check_storable("environment_id", environment_id)
        yield from fetch(_SQL["leave"], environment_id=environment_id)

    @transact("list environments", only_reads=True)
    def page(
        self, *, gone_for: timedelta = timedelta(days=1)
    ) -> Transaction[Sequence[Environment]]:
        found = yield from fetch(_SQL["page"], since=-gone_for)
        return [records.environment(row) for row in found]


def _now() -> Transaction[datetime]:
    row = yield from only(_SQL["now"])
    now: datetime = row["now_at"]
    return now
