"""Ends an instance, within a larger transaction."""

from datetime import datetime

from runtara_domain.model import ending_signal
from runtara_domain.model.instances import Ending
from runtara_domain.status import OPEN
from runtara_persistence import queries
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.connection import Connection

_FINISH = queries.load("runtara_persistence.postgres", "instances.sql")["finish"]


async def end(connection: Connection, instance_id: str, ending: Ending, at: datetime) -> None:
    """End an instance, and send its parent the ending; the rows of both are locked already."""
    await connection.fetch(
        _FINISH,
        instance_id,
        None,
        rows.states(OPEN),
        ending.state.status,
        ending.output,
        ending.error,
        ending.stderr,
        ending.memory_peak_bytes,
        ending.cpu_usage_usec,
        at,
        *ending_signal(instance_id, ending),
    )
