"""Registering: a run begins, or one to go on with is found."""

import sqlite3

from runtara_domain.model import Registered, Registration
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence import queries
from runtara_persistence.sqlite import rows

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
_FIND = _QUERIES["register.find"]
_CREATE = _QUERIES["register.create"]
_BEGIN_RUN = _QUERIES["register.begin_run"]
_SETTLE_RESUME = _QUERIES["register.settle_resume"]
_ADD_STARTED = _QUERIES["register.add_started"]


def register(
    connection: sqlite3.Connection, registration: Registration, when: Condition, at: str
) -> Registered:
    """Carry out `instances.register`."""
    key = {
        "instance_id": registration.instance_id,
        "checkpoint_id": registration.checkpoint_id,
    }
    row = connection.execute(_FIND, key).fetchone()
    if row is None:
        return _register_unknown(connection, registration, at)
    tenant_id, status, sleep_until, run, instance_input, launch_id, has_checkpoint = row
    before = rows.standing(status, sleep_until, run)
    checkpoint_exists = registration.checkpoint_id is None or bool(has_checkpoint)
    launch_is_open = registration.launch_id in (None, launch_id)
    owned = tenant_id == registration.tenant_id
    begins = registration.continue_run is None and before.state in when
    if owned and checkpoint_exists and launch_is_open and begins:
        _begin_run(connection, registration, at)
        run += 1
    return Registered(before, tenant_id, checkpoint_exists, run, instance_input, launch_is_open)


def _register_unknown(
    connection: sqlite3.Connection, registration: Registration, at: str
) -> Registered:
    unnamed = registration.checkpoint_id is None
    unlaunched = registration.launch_id is None
    if not unnamed or not unlaunched or registration.continue_run is not None:
        return Registered(
            None,
            registration.tenant_id,
            checkpoint_exists=unnamed,
            run=0,
            launch_is_open=unlaunched,
        )
    created = {
        "instance_id": registration.instance_id,
        "tenant_id": registration.tenant_id,
        "at": at,
    }
    connection.execute(_CREATE, created)
    _begin_run(connection, registration, at)
    return Registered(None, registration.tenant_id, checkpoint_exists=True, run=1)


def _begin_run(connection: sqlite3.Connection, registration: Registration, at: str) -> None:
    begun = {
        "instance_id": registration.instance_id,
        "status": MOVES[Move.REGISTER].target.status,
        "workflow": registration.workflow,
        "code_version": registration.code_version,
        "at": at,
    }
    connection.execute(_BEGIN_RUN, begun)
    connection.execute(_SETTLE_RESUME, begun)
    connection.execute(_ADD_STARTED, begun)
