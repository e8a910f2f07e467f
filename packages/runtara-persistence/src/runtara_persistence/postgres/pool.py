"""The open connections to a database, and when another connection is opened."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from runtara_persistence.postgres.driver_errors import FAILURES

if TYPE_CHECKING:
    from runtara_persistence.postgres.connection import Connection

_FEW = 3
"""The connections that are opened as soon as a step needs them."""
_OPENING = 0.05
"""
Seconds; about the cost of another connection.

A new connection is a new process of the server, which parses and plans every statement anew.
"""
_IDLE = 300.0
"""Seconds for which a connection stays open that no step uses."""
_SETTLING = 2.0
"""Seconds within which a cancelled statement ends. A frozen server does not cancel it."""

_log = logging.getLogger(__name__)


class Pool:
    """
    Open connections, each of which serves one step at a time.

    Most steps take milliseconds. So a step has another connection opened only if it has waited for
    about as long as opening one takes. Of several steps, each waits that much longer than the one
    before it, and a connection that is given back goes to the step that has waited longest. The
    connection that was used last is taken first. opening: opens a connection. most: how many there
    are at most.
    """

    def __init__(self, opening: Callable[[], Awaitable[Connection]], *, most: int) -> None:
        self._opening = opening
        self._most = most
        self._few = min(_FEW, most)
        # How often the connections were expired before each of them was opened.
        self._open: dict[Connection, int] = {}
        self._expired = 0
        # How many connections are in use, or being opened.
        self._taken = 0
        # The connections that no step uses, and since when, by the loop's clock.
        self._idle: deque[tuple[Connection, float]] = deque()
        # Each gets a connection, or None when it may open one.
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._work: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Take a connection for the block; raises the error of opening one."""
        connection = await self.take(None)
        try:
            yield connection
        except BaseException as error:
            await self.give_back_after(connection, error)
            raise
        self.give_back(connection)

    async def take(self, seconds: float | None) -> Connection:
        """
        Return a connection, which the caller gives back.

        Raises TimeoutError if there is none after so many seconds, or the error of opening one.
        """
        while self._idle:
            connection, _ = self._idle.pop()
            if self._is_usable(connection):
                self._taken += 1
                return connection
            self._drop(connection)
        async with asyncio.timeout(seconds):
            if self._taken < self._few:
                self._taken += 1
            elif (turn := await self._wait(seconds)) is not None:
                if self._is_usable(turn):
                    return turn
                self._drop(turn)
            return await self._open_one()

    def give_back(self, connection: Connection) -> None:
        """Let the next step use the connection of a step that has succeeded."""
        if not self._is_usable(connection):
            self._drop(connection)
            self._free()
        elif not self._hand_over(connection):
            self._taken -= 1
            now = asyncio.get_running_loop().time()
            self._idle.append((connection, now))
            if self._timer is None:
                self._retire_at(now + _IDLE)

    async def give_back_after(self, connection: Connection, error: BaseException) -> None:
        """
        Let the next step use the connection of a step that has failed.

        A cancelled statement is waited for, and a transaction is rolled back. If that takes too
        long, the connection is closed.
        """
        if isinstance(error, asyncpg.InternalClientError):
            # The driver has lost track of this connection's state.
            connection.terminate()
        if connection.is_closed() or (
            _leaves_none_open(error) and not connection.is_in_transaction()
        ):
            self.give_back(connection)
        else:
            # A second cancellation must not end the wait.
            await asyncio.shield(self._begin(self._settle(connection)))

    def expire(self) -> None:
        """Use no present connection for another step."""
        self._expired += 1
        while self._idle:
            self._drop(self._idle.pop()[0])

    async def close(self, seconds: float) -> None:
        """Close the connections, none of which is in use; cut them off after so many seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self.expire()
        try:
            if self._work:
                await asyncio.wait(self._work, timeout=seconds)
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Cut all connections off."""
        for connection in list(self._open):
            connection.terminate()
        self._open.clear()

    async def _open_one(self) -> Connection:
        """Open a connection that counts as taken already."""
        expired = self._expired
        try:
            connection = await self._opening()
        except BaseException:
            self._free()
            raise
        self._open[connection] = expired
        return connection

    async def _wait(self, seconds: float | None) -> Connection | None:
        """Wait for a connection that counts as taken; None if one is to be opened."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(_OPENING * len(self._waiting), self._add_one, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._return_unused(turn.result())
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(turn)

    def _add_one(self, turn: asyncio.Future[Connection | None]) -> None:
        if not turn.done() and self._taken < self._most:
            self._taken += 1
            turn.set_result(None)

    def _return_unused(self, connection: Connection | None) -> None:
        if connection is None:
            self._free()
        else:
            self.give_back(connection)

    def _hand_over(self, connection: Connection | None) -> bool:
        """Give the connection, or the place of one, to the step that has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _free(self) -> None:
        """A connection that was taken is gone: another one may be opened in its place."""
        if not self._hand_over(None):
            self._taken -= 1

    def _is_usable(self, connection: Connection) -> bool:
        return not connection.is_closed() and self._open.get(connection) == self._expired

    def _drop(self, connection: Connection) -> None:
        """Close a connection that no step uses any more."""
        if connection.is_closed():
            # The driver releases what belongs to a connection that the server has ended.
            connection.terminate()
            self._open.pop(connection, None)
        else:
            self._begin(self._close(connection))

    async def _settle(self, connection: Connection) -> None:
        try:
            await connection.reset(timeout=_SETTLING)
        except FAILURES as error:
            # The step's outcome stays as it is, also if that is a cancellation.
            _log.debug("a connection is closed after a failed step: %s", error)
            connection.terminate()
        self.give_back(connection)

    async def _close(self, connection: Connection) -> None:
        try:
            await connection.close(timeout=_SETTLING)
        except FAILURES as error:
            _log.debug("a connection was cut off: %s", error)
        finally:
            self._open.pop(connection, None)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def _retire_at(self, at: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(at, self._retire)

    def _retire(self) -> None:
        """Close the connections that no step has used for long."""
        self._timer = None
        latest = asyncio.get_running_loop().time() - _IDLE
        while self._idle and self._idle[0][1] <= latest:
            self._drop(self._idle.popleft()[0])
        if self._idle:
            self._retire_at(self._idle[0][1] + _IDLE)


def _leaves_none_open(error: BaseException) -> bool:
    """Return whether no statement can be under way after this error of a step."""
    if isinstance(error, ValueError):
        # Also the driver's own error for an argument that it can't write.
        return True
    return isinstance(error, Exception) and not isinstance(error, OSError | asyncpg.InterfaceError)
