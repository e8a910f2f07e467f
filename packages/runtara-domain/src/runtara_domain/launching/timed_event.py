"""An event whose wait can end by the domain's clock."""

import asyncio
from datetime import timedelta

from runtara_domain.ports.clock import Clock


class TimedEvent:
    """As `asyncio.Event`, but `wait` takes a span of the clock's time. One task waits at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def set(self) -> None:
        """Let `wait` return, now or when it is called next."""
        self._event.set()

    def clear(self) -> None:
        """Unset the event; clear it before reading the state that its setters changed."""
        self._event.clear()

    async def wait(self, span: timedelta | None) -> bool:
        """Wait until it is set or the span is over (None: no bound); return whether it is set."""
        if span is None or self._event.is_set():
            return await self._event.wait()
        waits = [
            asyncio.ensure_future(self._event.wait()),
            asyncio.ensure_future(self._clock.pause(max(span, timedelta(0)))),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return self._event.is_set()
