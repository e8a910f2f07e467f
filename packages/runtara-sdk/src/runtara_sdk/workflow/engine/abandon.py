"""Abandonment: tasks of a run that stay where they are, and are never unwound."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextvars import Context

from runtara_sdk.workflow.engine.calls import Branch, branch_in, code_context

Generator = AsyncGenerator[object, object]


def abandon_tasks(tasks: "Iterable[asyncio.Task[object]]") -> None:
    """
    Let tasks stay where they are for the rest of the process: nothing of theirs is unwound.

    Neither the end of their loop nor that of the interpreter may throw at them.
    """
    for task in tasks:
        if not task.done():
            # Documented for makers of tasks: asyncio.run cancels what it finds registered.
            asyncio._unregister_task(task)
            # A frame that is freed is unwound first; one that is always referred to never is.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))


def tasks_in(branches: Collection[Branch]) -> "set[asyncio.Task[object]]":
    """The tasks that code of these branches began."""
    return {
        task
        for task in asyncio.all_tasks()
        if any(branch_in(context) in branches for context in _contexts(task))
    }


def _contexts(task: "asyncio.Task[object]") -> list[Context]:
    """The context of a task; before Python 3.12, those of what wakes up when its wait is over."""
    get_context = getattr(task, "get_context", None)
    if get_context is not None:
        return [get_context()]
    waiter = getattr(task, "_fut_waiter", None)
    return [context for _, context in getattr(waiter, "_callbacks", None) or ()]


def exempt_async_generators() -> None:
    """Let the end of the running loop close no async generator that a workflow iterates over."""
    register = sys.get_asyncgen_hooks().firstiter
    if register is not None and not isinstance(register, _Registering):
        sys.set_asyncgen_hooks(firstiter=_Registering(register))


class _Registering:
    """Tells asyncio of new generators, but not of those of workflows."""

    def __init__(self, register: Callable[[Generator], None]) -> None:
        self._register = register

    def __call__(self, generator: Generator) -> None:
        if not isinstance(code_context(), Branch):
            self._register(generator)
