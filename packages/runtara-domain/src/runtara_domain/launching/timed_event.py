"""An event whose wait can end by the domain's clock."""

import asyncio
from datetime import timedelta

from runtara_domain.ports.clock import Clock


class TimedEvent:
    """As `asyncio.Event`, but `wait` takes a span of the clock's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_set = False
        self._waiters: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Let all waits return, now or when they are called next."""
        self._is_set = True
        for waiter in self._waiters:
            _end(waiter)

    def clear(self) -> None:
        """Unset the event; clear it before reading the state that its setters changed."""
        self._is_set = False

    async def wait(self, span: timedelta | None) -> bool:
        """Wait until it is set or the span is over (None: no bound); return whether it is set."""
        if self._is_set:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        timer = None
        if span is not None:
            timer = asyncio.ensure_future(self._clock.pause(max(span, timedelta(0))))
            timer.add_done_callback(lambda _: _end(waiter))
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()
        return self._is_set


def _end(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
