"""Instances in SQLite."""

import sqlite3
from collections.abc import Collection
from datetime import datetime

from runtara_domain.model import Caller, Instance, Registered, Registration, Standing
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.moment import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
_REGISTER_FIND = _QUERIES["register.find"]
_REGISTER_CREATE = _QUERIES["register.create"]
_REGISTER_BEGIN_RUN = _QUERIES["register.begin_run"]
_REGISTER_SETTLE_RESUME = _QUERIES["register.settle_resume"]
_REGISTER_ADD_STARTED = _QUERIES["register.add_started"]
_GET = _QUERIES["get"]
_STANDING = _QUERIES["standing"]
_TOUCH = _QUERIES["touch"]


class SqliteInstances:
    """Fits `runtara_domain.ports.instances.Instances`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self, registration: Registration, *, when: Condition, at: datetime
    ) -> Registered:
        def step(connection: sqlite3.Connection) -> Registered:
            return _register(connection, registration, when, to_text(at))

        return await self._database.write("register an instance", step)

    async def get(self, instance_id: str) -> Instance | None:
        def step(connection: sqlite3.Connection) -> Instance | None:
            row = connection.execute(_GET, {"instance_id": instance_id}).fetchone()
            return None if row is None else rows.instance(row)

        return await self._database.read("read an instance", step)

    async def standing(self, instance_id: str) -> Standing | None:
        def step(connection: sqlite3.Connection) -> Standing | None:
            row = connection.execute(_STANDING, {"instance_id": instance_id}).fetchone()
            return None if row is None else rows.standing(*row)

        return await self._database.read("read how an instance stands", step)

    async def touch(self, callers: Collection[Caller], *, at: datetime) -> None:
        moment = to_text(at)
        touched = [
            {"instance_id": caller.instance_id, "run": caller.run, "at": moment}
            for caller in callers
        ]

        def step(connection: sqlite3.Connection) -> None:
            connection.executemany(_TOUCH, touched)

        await self._database.write("note activity", step)


def _register(
    connection: sqlite3.Connection, registration: Registration, when: Condition, at: str
) -> Registered:
    key = {
        "instance_id": registration.instance_id,
        "checkpoint_id": registration.checkpoint_id,
    }
    row = connection.execute(_REGISTER_FIND, key).fetchone()
    if row is None:
        return _register_unknown(connection, registration, at)
    tenant_id, status, sleep_until, run, instance_input, has_checkpoint = row
    before = rows.standing(status, sleep_until, run)
    checkpoint_exists = registration.checkpoint_id is None or bool(has_checkpoint)
    owned = tenant_id == registration.tenant_id
    begins = registration.continue_run is None and before.state in when
    if owned and checkpoint_exists and begins:
        _begin_run(connection, registration.instance_id, at)
        run += 1
    return Registered(before, tenant_id, checkpoint_exists, run, instance_input)


def _register_unknown(
    connection: sqlite3.Connection, registration: Registration, at: str
) -> Registered:
    unnamed = registration.checkpoint_id is None
    if not unnamed or registration.continue_run is not None:
        return Registered(None, registration.tenant_id, checkpoint_exists=unnamed, run=0)
    created = {
        "instance_id": registration.instance_id,
        "tenant_id": registration.tenant_id,
        "at": at,
    }
    connection.execute(_REGISTER_CREATE, created)
    _begin_run(connection, registration.instance_id, at)
    return Registered(None, registration.tenant_id, checkpoint_exists=True, run=1)


def _begin_run(connection: sqlite3.Connection, instance_id: str, at: str) -> None:
    status = MOVES[Move.REGISTER].target.status
    begun = {"instance_id": instance_id, "status": status, "at": at}
    connection.execute(_REGISTER_BEGIN_RUN, begun)
    connection.execute(_REGISTER_SETTLE_RESUME, begun)
    connection.execute(_REGISTER_ADD_STARTED, begun)
