"""A step's function: its signature, read once, and how the function is called."""

import inspect
import typing
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

from runtara_sdk.workflow.errors import DurableCallInStep, NotSerializable
from runtara_sdk.workflow.values.arguments import Call, LiveCall, positional, shown
from runtara_sdk.workflow.values.contents import is_plain
from runtara_sdk.workflow.values.first_form import FirstFormArguments
from runtara_sdk.workflow.values.forked_processes import EndsForks
from runtara_sdk.workflow.values.threads import in_thread

T = TypeVar("T")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(slots=True)
class Arguments:
    """The arguments of a call; the first `own` are the object or class a method belongs to."""

    args: tuple[object, ...]
    kwargs: Mapping[str, Any]
    own: int = 0

    def may_change(self) -> bool:
        """Return whether any argument is an object that may change after the call."""
        return not all(map(is_plain, (*self.args[self.own :], *self.kwargs.values())))


_noted: ContextVar[list[tuple[str, Coroutine[Any, Any, object]]] | None] = ContextVar(
    "runtara_calls_in_a_thread", default=None
)


def noted(step: str, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Note a step's coroutine for the plain function that called it and has to await it."""
    calls = _noted.get()
    if calls is not None:
        calls.append((step, coroutine))
    return coroutine


class Function:
    """
    A function and its signature; a plain function, defined without `async`, runs in a thread.

    A deep copy of an object that holds it shares it, as functions are shared by deep copies.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._call = function
        self._is_async = inspect.iscoroutinefunction(function)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def is_of(self, owner: type) -> bool:
        """Return whether the function is defined in the class, not only assigned to it."""
        return self._call.__qualname__ == f"{owner.__qualname__}.{self._call.__name__}"

    def live(self, given: Arguments, *, is_old: bool = False) -> LiveCall:
        """
        Return a call with its present arguments as text, also in form 1 if there are old records.

        Raises TypeError if the function does not take the arguments. The object of a method is not
        shown: it need not be the same in another process.
        """
        old = None
        if is_old or given.kwargs or len(given.args) not in self._counts:
            bound = self._signature.bind(*given.args, **given.kwargs).arguments
            old = FirstFormArguments.of(bound, given.own) if is_old else None
        return LiveCall(self.describe(given), self._names[given.own :], self._defaults, old)

    def describe(self, given: Arguments) -> Call:
        """Return the present arguments as text."""
        names = self._names[given.own :]
        args = given.args[given.own :]
        by_position = [(positional(names, number), shown(one)) for number, one in enumerate(args)]
        taken = set(names[: len(args)])
        by_name = [
            (f"**{name}" if name in taken else name, shown(one))
            for name, one in given.kwargs.items()
        ]
        return Call((*by_position, *by_name), len(args))

    def returns(self, key: str) -> object:
        """
        Return the function's return annotation; Any if it has none. Raises NotSerializable, which
        names the key, if the annotations can't be read.
        """
        try:
            return self._returns
        except NameError as error:
            raise NotSerializable(
                f"{key}: the annotations of {self._call.__qualname__} can't be read"
                f" ({error}): import what they name at run time"
            ) from error

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self._call)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The parameters that it takes by position."""
        parameters = self._signature.parameters.values()
        return tuple(one.name for one in parameters if one.kind in _POSITIONAL)

    @cached_property
    def _counts(self) -> range:
        """How many positional arguments suffice; empty if some must be given by name."""
        parameters = self._signature.parameters.values()
        needed = [one for one in parameters if one.default is one.empty]
        if any(one.kind is one.KEYWORD_ONLY for one in needed):
            return range(0)
        least = sum(one.kind in _POSITIONAL for one in needed)
        return range(least, len(self._names) + 1)

    def _defaults(self) -> dict[str, str]:
        parameters = self._signature.parameters.values()
        return {one.name: shown(one.default) for one in parameters if one.default is not one.empty}

    @cached_property
    def _returns(self) -> object:
        return typing.get_type_hints(self._call, include_extras=True).get("return", Any)

    async def call(self, args: tuple[object, ...], kwargs: Mapping[str, Any]) -> object:
        """Call the function; return its result or raise its error."""
        if self._is_async:
            with EndsForks():
                return await self._call(*args, **kwargs)
        found = await in_thread(self._called, args, kwargs)
        # A plain wrapper around an async function returns that function's awaitable.
        return await found if inspect.isawaitable(found) else found

    def _called(self, args: tuple[object, ...], kwargs: Mapping[str, Any]) -> object:
        calls: list[tuple[str, Coroutine[Any, Any, object]]] = []
        _noted.set(calls)
        try:
            with EndsForks():
                found = self._call(*args, **kwargs)
        except StopIteration as error:
            # A future doesn't take StopIteration: its awaiter would wait for ever.
            raise RuntimeError(f"{self._call.__qualname__} raised StopIteration") from error
        self._check_awaited([call for call in calls if call[1] is not found])
        return found

    def _check_awaited(self, calls: list[tuple[str, Coroutine[Any, Any, object]]]) -> None:
        for step, coroutine in calls:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()
                raise DurableCallInStep(
                    f"{self._call.__qualname__} is a plain function, and called step {step!r}"
                    " without awaiting it, so that nothing was done: make it async and await the"
                    f" step, or call the step's function, {step}.__wrapped__"
                )
