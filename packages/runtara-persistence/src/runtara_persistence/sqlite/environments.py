"""Environments in SQLite; their leases expire by the machine's clock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runtara_domain.model.environments import Lease, Renewal
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_persistence import queries, records
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import OnDatabase, read, write
from runtara_persistence.sqlite.rows import from_optional, from_text, to_text

if TYPE_CHECKING:
    from runtara_domain.model.environments import NewEnvironment
    from runtara_domain.model.stored_environments import Environment

_SQL = queries.load("runtara_persistence.sqlite", "environments.sql")

_FORGOTTEN_AFTER = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)


class SqliteEnvironments(OnDatabase):
    """Fits `runtara_domain.ports.environments.Environments`."""

    @write("take an environment's lease")
    def open(self, connection: sqlite3.Connection, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        now = _now(connection)
        connection.execute(_SQL["open.forget"], {"forgotten": to_text(now - _FORGOTTEN_AFTER)})
        connection.execute(_SQL["open.adopt"])
        opened = {
            "environment_id": new.environment_id,
            "kind": new.kind,
            "tenant_id": new.tenant_id,
            "machine": new.machine,
            "boot_id": new.boot_id,
            "version": new.version,
            "capacity": new.capacity,
            "workflows": json.dumps(sorted(new.workflows)),
            "now": to_text(now),
            "until": to_text(now + ttl),
        }
        row = connection.execute(_SQL["open"], opened).fetchone()
        if row is None:
            raise new.another_kind()
        if new.kind is EnvironmentKind.WORKER:
            connection.execute(_SQL["tell"])
        return Lease(now=now, until=now + ttl, is_draining=bool(row[0]))

    @write("renew an environment's lease")
    def renew(
        self,
        connection: sqlite3.Connection,
        environment_id: str,
        *,
        ttl: timedelta,
        clock_offset: timedelta = timedelta(0),
        silence: timedelta = timedelta(seconds=120),
        lost_silence: timedelta = timedelta(seconds=45),
    ) -> Renewal | None:
        now = _now(connection)
        renewed = {
            "environment_id": environment_id,
            "now": to_text(now),
            "until": to_text(now + ttl),
            "clock_offset_ms": clock_offset // _MILLISECOND,
            **rows.silences(silence, lost_silence),
        }
        row = connection.execute(_SQL["renew"], renewed).fetchone()
        if row is None:
            return None
        (
            is_draining,
            is_anything_launchable,
            next_launchable_at,
            next_stop_at,
            next_tick_at,
            lost,
            next_lease_over_at,
        ) = row
        return Renewal(
            now=now,
            until=now + ttl,
            is_draining=bool(is_draining),
            is_anything_launchable=bool(is_anything_launchable),
            next_launchable_at=from_optional(next_launchable_at),
            next_stop_at=from_optional(next_stop_at),
            next_tick_at=from_optional(next_tick_at),
            lost=frozenset(json.loads(lost)),
            next_lease_over_at=from_optional(next_lease_over_at),
        )

    @write("give up an environment's lease")
    def close(self, connection: sqlite3.Connection, environment_id: str) -> None:
        closed = {"environment_id": environment_id, "now": to_text(_now(connection))}
        connection.execute(_SQL["close"], closed)

    @write("drain an environment")
    def drain(self, connection: sqlite3.Connection, environment_id: str, *, draining: bool) -> bool:
        key = {"environment_id": environment_id, "draining": draining}
        if connection.execute(_SQL["drain"], key).rowcount == 0:
            return False
        connection.execute(_SQL["tell"])
        return True

    @write("have an environment claim nothing more")
    def leave(self, connection: sqlite3.Connection, environment_id: str) -> None:
        connection.execute(_SQL["leave"], {"environment_id": environment_id})

    @read("list environments")
    def page(
        self, connection: sqlite3.Connection, *, gone_for: timedelta = timedelta(days=1)
    ) -> Sequence[Environment]:
        since = to_text(_now(connection) - gone_for)
        return rows.found(connection, _SQL["page"], {"since": since}, records.environment)


def _now(connection: sqlite3.Connection) -> datetime:
    [now] = connection.execute(_SQL["now"]).fetchone()
    return from_text(now)
