"""Callables that other decorators take for what they are: functions that give a coroutine."""

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any


class CoroutineFunction:
    """
    Makes `inspect.iscoroutinefunction` true of an object that wraps a function.

    Tracing decorators and the like ask it, and would take what the call gives for its result. It
    looks at what functions have; `inspect.markcoroutinefunction` comes only with Python 3.12.
    """

    __wrapped__: Callable[..., Any]
    __defaults__ = None
    __kwdefaults__ = None

    @property
    def __code__(self) -> CodeType:
        code: CodeType = inspect.unwrap(self.__wrapped__).__code__
        return code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
