"""
Plain functions as workflows: the code runs in a thread, its durable calls in the workflow's task.

The thread hands each durable call to the task and waits for its result. To the engine the workflow
is like any other. A run that suspends leaves its thread waiting, as it leaves a task: no frame of
user code is unwound. Such a thread takes none of the slots that `limit_threads` bounds.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from runtara_sdk.workflow.errors import OutsideWorkflow

T = TypeVar("T")

_local = threading.local()


@dataclass
class _Limit:
    """The most threads of workflows that run at once, in each event loop of this process."""

    size: int = 40
    slots: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(default_factory=dict)

    def here(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if loop not in self.slots:
            self.slots = {each: it for each, it in self.slots.items() if not each.is_closed()}
            self.slots[loop] = asyncio.Semaphore(self.size)
        return self.slots[loop]


_limit = _Limit()


def limit_threads(size: int) -> None:
    """Set the most threads of workflows that run at once in this process; the default is 40."""
    if size < 1:
        raise ValueError(f"threads= takes 1 or more, got {size}")
    _limit.size, _limit.slots = size, {}


def is_in_workflow() -> bool:
    """Whether the calling code is a workflow's that runs in a thread."""
    return getattr(_local, "bridge", None) is not None


def wait(make: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
    """
    Make a durable call in the workflow's task, and return its result to this thread.

    Raises the call's error, and OutsideWorkflow if the calling code is not such a workflow's.
    """
    bridge: _Bridge | None = getattr(_local, "bridge", None)
    if bridge is None:
        raise OutsideWorkflow(f"{what} is called outside of a workflow of runtara.sync")
    return bridge.ask(make)


async def in_thread(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """Run a workflow's function in a thread, and its durable calls here."""
    return await _Bridge().run(function, args, kwargs)


@dataclass
class _Asked:
    make: Callable[[], Coroutine[Any, Any, Any]]
    answer: "Future[Any]" = field(default_factory=Future)


class _Bridge:
    """Between one workflow's thread and its task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[_Asked | None] = self._loop.create_future()
        self._result: Future[Any] = Future()

    def ask(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        asked = _Asked(make)
        self._tell(asked)
        result: T = asked.answer.result()
        return result

    async def run(
        self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        slots = _limit.here()
        await slots.acquire()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run,
            args=(self._work, function, args, kwargs),
            name=f"runtara-{function.__name__}",
            daemon=True,
        )
        thread.start()
        while (asked := await self._next()) is not None:
            slots.release()
            await self._answer(asked, slots)
        slots.release()
        result: T = self._result.result()
        return result

    async def _answer(self, asked: _Asked, slots: asyncio.Semaphore) -> None:
        try:
            value = await asked.make()
        except BaseException as error:
            await slots.acquire()
            asked.answer.set_exception(error)
        else:
            await slots.acquire()
            asked.answer.set_result(value)

    async def _next(self) -> _Asked | None:
        asked = await asyncio.shield(self._news)
        self._news = self._loop.create_future()
        return asked

    def _work(
        self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        _local.bridge = self
        try:
            self._result.set_result(function(*args, **kwargs))
        except BaseException as error:
            self._result.set_exception(error)
        finally:
            self._tell(None)

    def _tell(self, asked: _Asked | None) -> None:
        # A closed loop has no runs: the thread then waits for ever.
        self._loop.call_soon_threadsafe(self._hear, asked)

    def _hear(self, asked: _Asked | None) -> None:
        self._news.set_result(asked)
