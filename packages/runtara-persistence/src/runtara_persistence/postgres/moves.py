"""Parts of steps that move an instance, within a larger transaction."""

from collections.abc import Sequence
from datetime import datetime

from runtara_domain.status import SignalType
from runtara_persistence import queries
from runtara_persistence.postgres.database import Connection

_SQL = queries.load("runtara_persistence.postgres", "moves.sql")
_IMAGE = queries.load("runtara_persistence.postgres", "launches.sql")["start.image"]


async def lock_parent(connection: Connection, instance_id: str) -> None:
    """Lock the parent of an instance, if it has one, as all steps do before they lock both."""
    await connection.fetch(_SQL["lock_parent"], instance_id)


async def has_image(connection: Connection, image_id: str, tenant_id: str) -> bool:
    """Whether a tenant has an image that is not deleted; locks it against deletion."""
    found = await connection.fetch(_IMAGE, image_id, tenant_id)
    return bool(found) and bool(found[0]["is_there"])


async def unblock(
    connection: Connection,
    instance_ids: Sequence[str],
    at: datetime,
    signal: SignalType = SignalType.RESUME,
) -> None:
    """Make instances due: send this signal, or keep a pending one that is stronger."""
    if instance_ids:
        await connection.execute(_SQL["unblock"], instance_ids, signal.value, at)


async def supersede(connection: Connection, instance_id: str, at: datetime) -> None:
    """Close the open launch, if there is one, of an instance whose row is locked."""
    await connection.execute(_SQL["supersede"], instance_id, at)
