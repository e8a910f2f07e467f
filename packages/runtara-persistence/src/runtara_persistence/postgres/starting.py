"""Starting instances, within one transaction or in one statement."""

import json
from datetime import datetime, timedelta

import asyncpg

from runtara_domain.error import DatabaseError
from runtara_domain.model.launches import InstanceStart, Offer, Started
from runtara_persistence import queries, stored
from runtara_persistence.postgres import claiming
from runtara_persistence.postgres.connection import Connection

_SQL = queries.load("runtara_persistence.postgres", "launches.sql")

_MILLISECOND = timedelta(milliseconds=1)
_TRIES = 3
"""How often a row that stands in the way may have been deleted before it is read."""


async def start(
    connection: Connection, start: InstanceStart, at: datetime, offer: Offer | None = None
) -> Started:
    """Carry out the port's step `launches.start`."""
    image = None
    if start.image_id is not None:
        found = await connection.fetch(_SQL["start.image"], start.image_id, start.tenant_id)
        image = found[0] if found else None
    name = None if image is None else image["name"]
    known: list[asyncpg.Record] = []
    if start.image_id is not None or start.dedupe_key is not None:
        # Otherwise creating it finds out.
        known = await connection.fetch(_SQL["start.find"], start.instance_id)
    if not known and start.image_id is not None and (image is None or not image["is_there"]):
        return Started(image_is_found=False)
    if not known and (same := await _with_same_key(connection, start)) is not None:
        return Started(duplicate_of=same)
    env = json.dumps(dict(start.env), ensure_ascii=False) if start.env else None
    # A row that stands in the way may be created after one query, and deleted before the other.
    tries = 0
    while not known and not await _create(connection, start, env, at):
        known = await connection.fetch(_SQL["start.find"], start.instance_id)
        tries += 1
        if not known and tries == _TRIES:
            raise DatabaseError(
                "Failed to start an instance: its row is not stored, and no row of its id is there."
                " See whether a trigger on the table instances drops rows"
            )
    if known:
        return Started(differs_in=stored.differences(start, name, *known[0].values()))
    if start.image_id is not None:
        association = (start.instance_id, start.image_id, start.tenant_id, at, env)
        await connection.execute(_SQL["start.associate"], *association)
    claims = None if offer is None else await claiming.claim_with_start(connection, offer, at)
    return Started(created=True, claims=claims)


async def _with_same_key(connection: Connection, start: InstanceStart) -> str | None:
    if start.dedupe_key is None:
        return None
    key = (start.tenant_id, start.queue, start.dedupe_key)
    await connection.execute(_SQL["start.one_at_a_time"], *key)
    found = await connection.fetch(_SQL["start.same_key"], *key)
    return found[0]["instance_id"] if found else None


async def _create(
    connection: Connection, start: InstanceStart, env: str | None, at: datetime
) -> bool:
    timeout = start.timeout
    created = await connection.fetch(
        _SQL["start.create"],
        start.instance_id,
        start.tenant_id,
        at,
        start.input or None,
        start.image_id,
        start.workflow,
        start.priority,
        start.launch_after,
        None if timeout is None else max(1, timeout // _MILLISECOND),
        start.queue,
        start.dedupe_key,
        env,
    )
    return bool(created)
