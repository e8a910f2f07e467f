"""Callables that other decorators recognise as functions that return a coroutine."""

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any


class CoroutineFunction:
    """
    Makes `inspect.iscoroutinefunction` true of an object that wraps a function.

    Decorators for tracing and the like call it; without it they would take the coroutine for the
    result. It looks at attributes of functions, which this class has, too;
    `inspect.markcoroutinefunction` comes only with Python 3.12.
    """

    __wrapped__: Callable[..., Any]
    __defaults__ = None
    __kwdefaults__ = None

    @property
    def __code__(self) -> CodeType:
        code: CodeType = inspect.unwrap(self.__wrapped__).__code__
        return code.replace(co_flags=code.co_flags | inspect.CO_COROUTINE)
