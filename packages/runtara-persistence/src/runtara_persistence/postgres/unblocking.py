"""Makes suspended instances due by a signal, within a larger transaction."""

from collections.abc import Sequence
from datetime import datetime

from runtara_domain.status import SignalType
from runtara_persistence import queries
from runtara_persistence.postgres.database import Connection

_UNBLOCK = queries.load("runtara_persistence.postgres", "unblocking.sql")["unblock"]


async def unblock(
    connection: Connection,
    instance_ids: Sequence[str],
    at: datetime,
    signal: SignalType = SignalType.RESUME,
) -> None:
    """Make instances due: send this signal, or keep a pending one that is stronger."""
    if instance_ids:
        await connection.execute(_UNBLOCK, instance_ids, signal.value, at)
