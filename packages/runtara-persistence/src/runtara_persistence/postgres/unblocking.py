"""Having suspended instances be due by a signal, within a transaction that does more."""

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
    """Send the signal, unless a stronger one is pending; whatever was sent before, they are due."""
    if instance_ids:
        await connection.execute(_UNBLOCK, instance_ids, signal.value, at)
