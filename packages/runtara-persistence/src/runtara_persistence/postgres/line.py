"""The line of steps that wait for a connection, and when the pool opens another one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

_FEW = 3
"""The connections that are opened as soon as a step needs them."""
_OPENING = 0.05
"""
Seconds; about the cost of another connection.

A new connection is a new process of the server, which parses and plans every statement anew.
"""


class Line:
    """
    The steps that wait while all open connections are in use, in their order.

    Most steps take milliseconds. So a step has another connection opened only if it has waited for
    about as long as opening one takes. Of several steps, each waits that much longer than the one
    before it. size: returns how many connections are open.
    """

    def __init__(self, size: Callable[[], int]) -> None:
        self._size = size
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, seconds: float) -> AsyncIterator[None]:
        """Begin the block when a connection may be taken, or after so many seconds anyway."""
        if self._has_room():
            self._begun += 1
        else:
            await self._wait(seconds)
        try:
            yield
        finally:
            self._end()

    def _has_room(self) -> bool:
        return self._begun < max(_FEW, self._size())

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        span = min(seconds, _OPENING * (1 + len(self._waiting)))
        self._waiting.append(turn)
        timer = loop.call_later(span, self._begin, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._end()
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(turn)

    def _begin(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._begun += 1
            turn.set_result(None)

    def _end(self) -> None:
        self._begun -= 1
        while self._waiting and self._has_room():
            self._begin(self._waiting.popleft())
