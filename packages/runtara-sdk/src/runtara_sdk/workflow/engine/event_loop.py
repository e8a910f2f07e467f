"""
The event loop: finds when all ready callbacks have run, and which timers are set.

asyncio has no public functions for these. Both are read from the loops of the standard library
(`_ready` and `_scheduled`, the same in Python 3.11 to 3.14). For another loop, some iterations are
waited for instead, and its timers are unknown.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from weakref import WeakKeyDictionary

_MOST_ITERATIONS = 50
"""How many iterations to wait for code that never lets the loop become idle."""

_ITERATIONS = 10
"""How many iterations to wait on another loop."""


class _Quiet:
    """Makes callbacks one after the other, each when the loop is idle."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop itself is the key under which this object is kept.
        self._call_soon = loop.call_soon
        self._ready: deque[object] | None = getattr(loop, "_ready", None)
        self._callbacks: deque[Callable[[], None]] = deque()

    def call(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)
        if len(self._callbacks) == 1:
            self._begin()

    def _begin(self) -> None:
        iterations = _ITERATIONS if self._ready is None else _MOST_ITERATIONS
        self._call_soon(self._iterate, iterations, context=Context())

    def _iterate(self, left: int) -> None:
        if left and (self._ready is None or self._ready):
            self._call_soon(self._iterate, left - 1, context=Context())
            return
        callback = self._callbacks.popleft()
        if self._callbacks:
            self._begin()
        callback()


_quiet: WeakKeyDictionary[asyncio.AbstractEventLoop, _Quiet] = WeakKeyDictionary()


def when_quiet(callback: Callable[[], None]) -> None:
    """
    Make this call when the running loop has no ready callback left.

    A call may make others ready, so the next call waits until the loop is idle again. It waits 50
    iterations for code that never lets the loop become idle.
    """
    loop = asyncio.get_running_loop()
    quiet = _quiet.get(loop)
    if quiet is None:
        quiet = _quiet[loop] = _Quiet(loop)
    quiet.call(callback)


def call_in(
    seconds: float, callback: Callable[..., object], *arguments: object
) -> asyncio.TimerHandle:
    """Make this call after some seconds, outside of workflows: it is no timer of user code."""
    loop = asyncio.get_running_loop()
    return loop.call_later(max(seconds, 0), callback, *arguments, context=Context())


def timers() -> Iterator[tuple[float, Context]]:
    """Return the running loop's timers: the seconds until each is due, and its context."""
    loop = asyncio.get_running_loop()
    for handle in getattr(loop, "_scheduled", ()):
        if not handle.cancelled():
            yield handle.when() - loop.time(), handle._context
