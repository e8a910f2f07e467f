"""The end of a run: decided once, and then no user code goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from runtara_sdk.errors import RuntaraError
from runtara_sdk.workflow.engine.abandon import abandon_tasks
from runtara_sdk.workflow.engine.calls import entered
from runtara_sdk.workflow.engine.outcome import Ended

T = TypeVar("T")


class RunEnd:
    """
    The outcome of a run, or the error with which it can't go on, once that is decided.

    After that every durable call blocks for ever: no user code goes on, and none is unwound.
    asking: how many calls to the core are under way.
    """

    def __init__(self) -> None:
        self.asking = 0
        self.outcome: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    @property
    def is_decided(self) -> bool:
        """Whether the run is over."""
        return self.outcome.done()

    def finish(self, end: Ended | Exception) -> None:
        """Decide the run's outcome, unless it is decided already."""
        if not self.outcome.done():
            if isinstance(end, Ended):
                self.outcome.set_result(end)
            else:
                self.outcome.set_exception(end)

    async def finish_and_block(self, end: Ended | Exception) -> NoReturn:
        """End the run here, and block for ever."""
        self.finish(end)
        await self.block()

    async def block(self) -> NoReturn:
        """Block for ever: the code that awaits this goes no further, and is not unwound."""
        task = asyncio.current_task()
        assert task is not None
        abandon_tasks([task])
        while True:
            await asyncio.get_running_loop().create_future()

    async def call_core(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the core; if that fails, the run ends with the error, and this blocks for ever."""
        self.asking += 1
        try:
            with entered(None):
                return await call()
        except RuntaraError as error:
            # User code can mend none of these: an outage, a newer run, an end from outside.
            await self.finish_and_block(error)
        finally:
            self.asking -= 1

    def in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a background task; its error ends the run."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._finish_with_its_error)
        return task

    def _finish_with_its_error(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self.finish(error)
