"""The timeout of a call; the time in which the server holds the answer back does not count."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class CallDeadline:
    """
    A call's timeout in seconds, which stands still while the server holds the answer back.

    `limit` is a timeout that has just begun. `failures` is counted by the call, since then.
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
        Let the block take up to `hold` seconds beside the timeout; None: without a bound.

        The block's time does not count. After a block as long as the whole timeout, or longer, the
        timeout begins anew.
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
        """End the timeout now; nothing extends it any more."""
        self._reschedule(self._loop.time())
        self._is_over = True

    def _reschedule(self, when: float | None) -> None:
        # A timeout that has expired is about to end the call, and can't be changed any more.
        if not (self._is_over or self._limit.expired()):
            self._limit.reschedule(when)
