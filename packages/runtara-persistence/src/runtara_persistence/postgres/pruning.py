"""Deleting finished instances, as much at a time as the database can do in good time."""

import asyncio
from datetime import datetime

from runtara_domain.error import DatabaseError
from runtara_persistence import queries
from runtara_persistence.postgres.database import Database
from runtara_persistence.postgres.failure import took_too_long

_PRUNE = queries.load("runtara_persistence.postgres", "instances.sql")["prune"]

_MOST_ROWS = 10_000
_ROWS_AN_INSTANCE = 50
"""One in so many of the rows deleted at a time may be an instance: its output may be large."""
_GOOD = 0.05
_LONG = 0.25
"""Of what a statement may take: under the one more is deleted next time, over the other less."""


async def prune(database: Database, finished_before: datetime, limit: int) -> int:
    """
    Carry out `instances.prune`, each statement a transaction: what failed leaves the rest gone.

    Instances with very many rows take several: those go first, and with the last the instances.
    """
    pruned, rows = 0, _MOST_ROWS // 2
    while pruned < limit:
        most = min(limit - pruned, max(1, rows // _ROWS_AN_INSTANCE))
        began = _now()
        try:
            [row] = await database.write(
                "delete finished instances", _PRUNE, finished_before, most, rows
            )
        except DatabaseError as error:
            if rows == 1 or not took_too_long(error):
                raise
            rows = max(1, rows // 8)
            continue
        pruned += row["gone"]
        if row["found"] < most and row["found"] == row["gone"]:
            break
        rows = _paced(rows, (_now() - began) / database.step_timeout)
    return pruned


def _paced(rows: int, share: float) -> int:
    if share > _LONG:
        return max(1, rows // 2)
    return min(2 * rows, _MOST_ROWS) if share < _GOOD else rows


def _now() -> float:
    return asyncio.get_running_loop().time()
