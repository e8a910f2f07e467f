"""Threads: where plain steps run."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 200
"""How many plain steps a process runs at once; asyncio's own threads are few."""


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, which knows where the caller stands."""
    call = partial(copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), call)


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """The threads of this process: those of the one that it was forked from are not here."""
    return ThreadPoolExecutor(_MOST, "runtara-step")
