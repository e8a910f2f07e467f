"""Starting instances, within one transaction."""

import json
import sqlite3
from datetime import datetime, timedelta

from runtara_domain.model.launches import InstanceStart, Offer, Started
from runtara_persistence import queries, stored
from runtara_persistence.sqlite import claiming
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "launches.sql")

_MILLISECOND = timedelta(milliseconds=1)


def start(
    connection: sqlite3.Connection, start: InstanceStart, at: datetime, offer: Offer | None = None
) -> Started:
    """Carry out the port's step `launches.start`."""
    image = None
    if start.image_id is not None:
        key = {"image_id": start.image_id, "tenant_id": start.tenant_id}
        image = connection.execute(_SQL["start.image"], key).fetchone()
    name = None if image is None else image[0]
    known = connection.execute(_SQL["start.find"], {"instance_id": start.instance_id}).fetchone()
    if known is not None:
        return Started(differs_in=stored.differences(start, name, *known))
    if start.image_id is not None and (image is None or not image[1]):
        return Started(image_is_found=False)
    created = _created(start, at)
    if start.dedupe_key is not None:
        same = connection.execute(_SQL["start.same_key"], created).fetchone()
        if same is not None:
            return Started(duplicate_of=same[0])
    [changes] = connection.execute(_SQL["start.told"]).fetchone()
    connection.execute(_SQL["start.create"], created)
    if start.image_id is not None:
        connection.execute(_SQL["start.associate"], created)
    claims = None if offer is None else claiming.claim_with_start(connection, offer, at)
    taken = [] if claims is None else [one.instance_id for one in claims.assignments]
    if taken == [start.instance_id]:
        # The new instance is claimed already: a watch that is called would claim in vain.
        connection.execute(_SQL["start.untell"], {"changes": changes})
    return Started(created=True, claims=claims)


def _created(start: InstanceStart, at: datetime) -> dict[str, object]:
    timeout = start.timeout
    after = start.launch_after
    return {
        "instance_id": start.instance_id,
        "tenant_id": start.tenant_id,
        "at": to_text(at),
        "input": start.input or None,
        "image_id": start.image_id,
        "workflow": start.workflow,
        "priority": start.priority,
        "launch_after": None if after is None else to_text(after),
        "timeout_ms": None if timeout is None else max(1, timeout // _MILLISECOND),
        "queue": start.queue,
        "dedupe_key": start.dedupe_key,
        "env": json.dumps(dict(start.env), ensure_ascii=False) if start.env else None,
    }
