"""Closing an instance's open launch because another run takes it."""

from datetime import datetime

from runtara_persistence import queries
from runtara_persistence.postgres.database import Connection

_CLOSE = queries.load("runtara_persistence.postgres", "superseding.sql")["close"]


async def close_launch(connection: Connection, instance_id: str, at: datetime) -> None:
    """Close the open launch, if there is one, of an instance whose row is locked."""
    await connection.execute(_CLOSE, instance_id, at)
