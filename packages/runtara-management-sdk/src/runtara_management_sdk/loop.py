"""An event loop in a thread, for code without an event loop."""

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from runtara_sdk.errors import ClientNotOpen

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread, from `start` to `stop`; all threads may use it at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        # Reentrant: the garbage collector may close an iterator in a thread that holds the lock.
        self._lock = threading.RLock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine in the loop, and return its result or raise its error.

        An exception that interrupts the wait, such as KeyboardInterrupt, cancels the coroutine.
        Raises ClientNotOpen before `start`, after `stop`, and if `stop` is called before the
        coroutine has ended; RuntimeError in the loop's own thread.
        """
        try:
            result = self._submitted(work)
        except BaseException:
            work.close()
            raise
        try:
            return result.result()
        except concurrent.futures.CancelledError as error:
            raise ClientNotOpen("the client was closed while a call was under way") from error
        except BaseException:
            result.cancel()
            raise

    def iterate(self, found: AsyncIterator[T]) -> Iterator[T]:
        """Yield the items of an async iterator, and close it at the end."""
        try:
            while (one := self.run(_next(found))) is not None:
                yield one
        finally:
            # The loop itself closes generators that are collected in its thread.
            if isinstance(found, AsyncGenerator) and not self._is_own_thread():
                # A generator that outlives the loop was closed with it.
                with suppress(ClientNotOpen):
                    self.run(found.aclose())

    def start(self) -> None:
        """Start the loop; raises ClientNotOpen if it runs already."""
        with self._lock:
            if self._running is not None:
                raise ClientNotOpen("the client is open already: use one `with` at a time")
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
            thread.start()
            self._running = loop, thread

    def stop(self) -> None:
        """Cancel all tasks, wait for their end, and stop the loop."""
        self._refuse_own_thread()
        with self._lock:
            assert self._running is not None, "it was started"
            loop, thread = self._running
            self._running = None
        try:
            asyncio.run_coroutine_threadsafe(_end_others(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _submitted(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        self._refuse_own_thread()
        with self._lock:
            if self._running is None:
                raise ClientNotOpen("the client is not open: use it as `with ... as client:`")
            return asyncio.run_coroutine_threadsafe(work, self._running[0])

    def _is_own_thread(self) -> bool:
        running = self._running
        return running is not None and running[1] is threading.current_thread()

    def _refuse_own_thread(self) -> None:
        if self._is_own_thread():
            raise RuntimeError(
                f"a callback in the thread {self._name!r} can't call the client, which needs that"
                " thread: call the client in another thread"
            )


async def _next(found: AsyncIterator[T]) -> T | None:
    return await anext(found, None)


async def _end_others() -> None:
    """Cancel the loop's other tasks, wait until they have ended, and close its generators."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
