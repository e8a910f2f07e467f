"""An event loop in a thread, for code that has none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from runtara_sdk.errors import ClientNotOpen

T = TypeVar("T")


class LoopThread:
    """A loop in a thread of this name, from `start` to `stop`; any threads may use it at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Carry out work in the loop, and give what it gives or raise what it raises.

        It is cancelled where waiting for it is interrupted. Raises ClientNotOpen before `start` and
        after `stop`.
        """
        if self._running is None:
            work.close()
            raise ClientNotOpen("the client is not open: use it as `with ... as client:`")
        result = asyncio.run_coroutine_threadsafe(work, self._running[0])
        try:
            return result.result()
        except BaseException:
            result.cancel()
            raise

    def iterate(self, found: AsyncIterator[T]) -> Iterator[T]:
        """Give what an async iterator gives; it is closed with this one."""
        try:
            while (one := self.run(_next(found))) is not None:
                yield one
        finally:
            # One that is left behind when the loop has ended is gone with it.
            if isinstance(found, AsyncGenerator) and self._running is not None:
                self.run(found.aclose())

    def start(self) -> None:
        """Begin to run."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
        self._running = loop, thread
        thread.start()

    def stop(self) -> None:
        """End; what is under way is given up."""
        assert self._running is not None, "it was started"
        loop, thread = self._running
        self._running = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _next(found: AsyncIterator[T]) -> T | None:
    return await anext(found, None)
