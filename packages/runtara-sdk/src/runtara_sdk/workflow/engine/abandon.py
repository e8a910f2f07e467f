"""Abandonment: tasks of a suspended run are never resumed and never unwound."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextvars import Context

from runtara_sdk.workflow.engine.calls import Branch, branch_in, code_context

Generator = AsyncGenerator[object, object]


def abandon_tasks(tasks: "Iterable[asyncio.Task[object]]") -> None:
    """
    Keep tasks suspended for the rest of the process, without unwinding their frames.

    Neither the end of their loop nor that of the interpreter may raise in them.
    """
    for task in tasks:
        if not task.done():
            # A documented function for makers of tasks: asyncio.run cancels all registered tasks.
            asyncio._unregister_task(task)
            # Freeing a frame unwinds it; a frame with a reference is never freed.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))


def tasks_in(branches: Collection[Branch]) -> "set[asyncio.Task[object]]":
    """The tasks that code of these branches began."""
    return {
        task
        for task in asyncio.all_tasks()
        if any(branch_in(context) in branches for context in _contexts(task))
    }


def _contexts(task: "asyncio.Task[object]") -> list[Context]:
    """The context of a task; before Python 3.12, the contexts of the callbacks of its wait."""
    get_context = getattr(task, "get_context", None)
    if get_context is not None:
        return [get_context()]
    waiter = getattr(task, "_fut_waiter", None)
    return [context for _, context in getattr(waiter, "_callbacks", None) or ()]


def exempt_async_generators() -> None:
    """Keep async generators that a workflow iterates over open at the end of the running loop."""
    register = sys.get_asyncgen_hooks().firstiter
    if register is not None and not isinstance(register, _Registering):
        sys.set_asyncgen_hooks(firstiter=_Registering(register))


class _Registering:
    """Registers new async generators with asyncio, except those of workflows."""

    def __init__(self, register: Callable[[Generator], None]) -> None:
        self._register = register

    def __call__(self, generator: Generator) -> None:
        if not isinstance(code_context(), Branch):
            self._register(generator)
