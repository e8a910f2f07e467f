"""Connections of a pool that are kept between two steps."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeAlias

import asyncpg

from runtara_persistence.postgres.connection import Connection
from runtara_persistence.postgres.driver_errors import FAILURES

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_RELEASE_TIMEOUT = 2.0
_UNUSED = 1.0
"""Seconds without a step after which the pool gets its connections back."""

_log = logging.getLogger(__name__)


class KeptConnections:
    """
    The connections that a step has left for the next one.

    Between two steps the pool's own release and acquisition would take as much CPU as a small
    statement. Without steps the pool gets its connections back, and closes them in time.
    """

    def __init__(self) -> None:
        self._kept: list[Connection] = []
        self._steps = 0
        self._timer: asyncio.TimerHandle | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def take(self, pool: Pool) -> Connection | None:
        """Return an open connection; None if none is kept."""
        while self._kept:
            connection = self._kept.pop()
            if not connection.is_closed():
                return connection
            await release(pool, connection)
        return None

    def keep(self, pool: Pool, connection: Connection) -> None:
        """Keep a connection on which nothing is under way."""
        self._kept.append(connection)
        self._steps += 1
        if self._timer is None:
            self._look_later(pool)

    async def give_back(self, pool: Pool) -> None:
        """Give the pool all connections back that are kept now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kept, self._kept = self._kept, []
        for connection in kept:
            await release(pool, connection)

    def _look_later(self, pool: Pool) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_UNUSED, self._look, pool, self._steps)

    def _look(self, pool: Pool, steps: int) -> None:
        self._timer = None
        if steps != self._steps:
            self._look_later(pool)
            return
        work = asyncio.get_running_loop().create_task(self.give_back(pool))
        self._work.add(work)
        work.add_done_callback(self._work.discard)


async def release(pool: Pool, connection: Connection) -> None:
    """Give a connection back to the pool, which ends what may be under way there."""
    try:
        # A frozen server doesn't answer the request to cancel a statement, so this is bounded.
        await pool.release(connection, timeout=_RELEASE_TIMEOUT)
    except FAILURES as error:
        # The connection is closed, and a new one takes its place. The step's outcome stays as it
        # is, also if that is a cancellation.
        _log.debug("a connection can't be released: %s", error)
