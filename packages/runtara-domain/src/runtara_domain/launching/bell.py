"""What a loop waits for: a ring, or the end of a span."""

import asyncio
from datetime import timedelta

from runtara_domain.ports.clock import Clock


class Bell:
    """Wakes one loop; rings before the loop waits count, and many rings count once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop, now or as soon as it waits."""
        self._rung.set()

    def clear(self) -> None:
        """Forget rings so far: what they told of is looked at next."""
        self._rung.clear()

    async def wait(self, span: timedelta | None) -> bool:
        """Return once it rang or the span is over; None: only when it rings. True: it rang."""
        if span is None or self._rung.is_set():
            return await self._rung.wait()
        waits = [
            asyncio.ensure_future(self._rung.wait()),
            asyncio.ensure_future(self._clock.pause(max(span, timedelta(0)))),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return self._rung.is_set()
