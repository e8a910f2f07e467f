"""The time a call may take, most of which may be the server's own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class CallDeadline:
    """
    A call's timeout, of so many seconds, which makes room for answers that are held back.

    `limit` has just begun. `failures` is for the call to count, since its time began.
    """

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._seconds = seconds
        self._deadline = self._loop.time() + seconds
        self._is_over = False
        self.failures = 0

    @contextmanager
    def extended(self, hold: float | None) -> Iterator[None]:
        """
        Let this block take so many seconds more, any number of them if None.

        The time it took is not counted; if it is more than the whole timeout, that begins anew.
        """
        began = self._loop.time()
        self._reschedule(None if hold is None else self._deadline + hold)
        try:
            yield
        finally:
            now = self._loop.time()
            self._deadline += now - began
            if now - began >= self._seconds:
                self._deadline = now + self._seconds
                self.failures = 0
            self._reschedule(self._deadline)

    @property
    def left(self) -> float:
        """Seconds until the time is up, if no answer is held back from now on."""
        return self._deadline - self._loop.time()

    def end(self) -> None:
        """Let the time be up now, for good."""
        self._reschedule(self._loop.time())
        self._is_over = True

    def _reschedule(self, when: float | None) -> None:
        # One that has expired is about to end the call, and cannot be changed any more.
        if not (self._is_over or self._limit.expired()):
            self._limit.reschedule(when)
