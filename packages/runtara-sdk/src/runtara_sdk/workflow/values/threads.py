"""Threads: where plain steps run."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 200
"""How many plain steps a process runs at once; asyncio's default executor has fewer threads."""

_NAME = "runtara-step"

_at_work: set[object] = set()


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, with a copy of the caller's context variables."""
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), _counted, call)


def are_at_work() -> bool:
    """Return whether a plain step is under way in this process."""
    return bool(_at_work)


def is_ours(thread: threading.Thread) -> bool:
    """Return whether a thread is one of those in which plain steps run."""
    return thread.name.startswith(_NAME)


def _counted(call: Callable[[], T]) -> T:
    work = object()
    _at_work.add(work)
    try:
        return call()
    finally:
        _at_work.discard(work)


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """The threads of one process: a forked process has none of its parent's threads."""
    return ThreadPoolExecutor(_MOST, _NAME)
