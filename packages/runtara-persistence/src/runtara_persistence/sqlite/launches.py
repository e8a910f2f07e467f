"""Launches in SQLite, and the steps on instances that belong to launches."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_persistence import queries
from runtara_persistence.sqlite import claiming, instance_views
from runtara_persistence.sqlite.database import OnDatabase, read, write, write_and_tell
from runtara_persistence.sqlite.rows import to_text
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions.instance_lists import InstanceListTransactions
from runtara_persistence.transactions.launches import LaunchTransactions

if TYPE_CHECKING:
    from runtara_domain.model.instance_copies import Copied
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.launches import (
        Claims,
        Closed,
        Closing,
        InstanceStart,
        Judge,
        Offer,
        Started,
    )

_SQL = queries.load("runtara_persistence.sqlite", "launches.sql")


class SqliteLaunches(OnDatabase, InstanceListTransactions, LaunchTransactions):
    """
    Fits `runtara_domain.ports.launches.Launches`.

    A step's module is imported when the step is used: listing instances, for one, needs none.
    """

    @write("start an instance")
    def start(
        self,
        connection: sqlite3.Connection,
        start: InstanceStart,
        *,
        at: datetime,
        offer: Offer | None = None,
    ) -> Started:
        from runtara_persistence.transactions import starting

        if offer is None:
            return run_transaction(connection, starting.start(start, at), [])
        [changes] = connection.execute(_SQL["start.told"]).fetchone()
        started = run_transaction(connection, starting.start(start, at), [])
        if not started.created:
            return started
        claims = claiming.claim_with_start(connection, offer, at)
        if [one.instance_id for one in claims.assignments] == [start.instance_id]:
            # The new instance is claimed already: a watch that is called would claim in vain.
            connection.execute(_SQL["start.untell"], {"changes": changes})
        return replace(started, claims=claims)

    @write("claim instances to launch")
    def claim(
        self, connection: sqlite3.Connection, offer: Offer, *, limit: int, at: datetime
    ) -> Claims:
        values.check_limit(limit)
        return claiming.claim(connection, offer, limit, at)

    @write("note that a launch's process runs")
    def mark_started(
        self,
        connection: sqlite3.Connection,
        launch_id: str,
        *,
        handle: str | None = None,
        at: datetime,
    ) -> bool:
        marked = {"launch_id": launch_id, "handle": handle, "at": to_text(at)}
        return connection.execute(_SQL["mark_started"], marked).rowcount == 1

    @write_and_tell("close a launch")
    def close(
        self,
        connection: sqlite3.Connection,
        heard: list[str],
        closing_: Closing,
        judge: Judge,
        *,
        at: datetime,
    ) -> Closed:
        from runtara_persistence.sqlite import closing

        return closing.close(connection, heard, closing_, judge, at)

    @read("take a copy of an instance")
    def copy(self, connection: sqlite3.Connection, instance_id: str) -> Copied | None:
        from runtara_persistence.transactions import copying

        values.check_storable("instance_id", instance_id)
        return run_transaction(connection, copying.take(instance_id), [])

    @read("read all of an instance")
    def view(
        self,
        connection: sqlite3.Connection,
        instance_id: str,
        *,
        at: datetime,
        tenant_limit: int | None = None,
    ) -> InstanceView | None:
        values.check_storable("instance_id", instance_id)
        return instance_views.view(connection, instance_id, at, tenant_limit)
