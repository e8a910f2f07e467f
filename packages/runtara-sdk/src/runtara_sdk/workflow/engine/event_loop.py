"""
The event loop: when all that can run at once has run, and which timers are set.

Neither has a public way of asking. Both are read from the loops of the standard library (`_ready`
and `_scheduled`, the same in Python 3.11 to 3.14). A loop of another make is given some iterations
instead, and its timers are not known.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from weakref import WeakKeyDictionary

_MOST_ITERATIONS = 50
"""How long code that never lets the loop rest is waited for."""

_ITERATIONS = 10
"""What a loop of another make is given."""


class _Quiet:
    """Calls back one after the other, each when the loop has come to rest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the loop itself, which is the key that this is the value of.
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
    Call this once nothing is left that the running loop could do at once.

    What is called moves code on; so each call waits until that has come to rest again. Code that
    never rests is waited for during 50 iterations of the loop.
    """
    loop = asyncio.get_running_loop()
    quiet = _quiet.get(loop)
    if quiet is None:
        quiet = _quiet[loop] = _Quiet(loop)
    quiet.call(callback)


def call_in(
    seconds: float, callback: Callable[..., object], *arguments: object
) -> asyncio.TimerHandle:
    """Call this after so many seconds, in no workflow's context: it is no timer of user code."""
    loop = asyncio.get_running_loop()
    return loop.call_later(max(seconds, 0), callback, *arguments, context=Context())


def timers() -> Iterator[tuple[float, Context]]:
    """The timers of the running loop: in how many seconds each is due, and its context."""
    loop = asyncio.get_running_loop()
    for handle in getattr(loop, "_scheduled", ()):
        if not handle.cancelled():
            yield handle.when() - loop.time(), handle._context
