"""Makes a suspended instance due by a signal, within a larger step."""

import sqlite3

from runtara_domain.status import SignalType
from runtara_persistence import queries

_SQL = queries.load("runtara_persistence.sqlite", "unblocking.sql")


def unblock(
    connection: sqlite3.Connection,
    instance_id: str,
    at: str,
    signal: SignalType = SignalType.RESUME,
) -> None:
    """Make the instance due: send this signal, or keep a pending one that is stronger."""
    key = {"instance_id": instance_id, "signal_type": signal.value, "at": at}
    connection.execute(_SQL["send"], key)
    connection.execute(_SQL["clear"], key)
