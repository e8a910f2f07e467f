"""A step's function: what is known of it once and for all, and how it is carried out."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Self

from runtara_sdk.workflow.errors import NotSaveable
from runtara_sdk.workflow.forks import EndsForks
from runtara_sdk.workflow.threads import in_thread


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function is called with; `named`: by name and in order, where that matters."""

    args: tuple[object, ...]
    kwargs: Mapping[str, Any]
    named: Mapping[str, object]


class Function:
    """
    A function and what it takes and gives; a plain one, defined without `async`, runs in a thread.

    A deep copy of what it belongs to has the same one, as it has the same function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._call = function
        self._is_async = inspect.iscoroutinefunction(function)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, Any], *, unnamed: int = 0
    ) -> Arguments:
        """
        Name a call's arguments, but for the first few.

        Raises TypeError if the function does not take them.
        """
        named = self._signature.bind(*args, **kwargs).arguments
        return Arguments(args, kwargs, dict(islice(named.items(), unnamed, None)))

    def returns(self, key: str) -> object:
        """
        Give what it is annotated to return, Any if it is not; raises NotSaveable, which names the
        key, while its annotations can't be read.
        """
        try:
            return self._returns
        except NameError as error:
            raise NotSaveable(
                f"{key}: the annotations of {self._call.__qualname__} can't be read"
                f" ({error}): import what they name at run time"
            ) from error

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self._call)

    @cached_property
    def _returns(self) -> object:
        return typing.get_type_hints(self._call, include_extras=True).get("return", Any)

    async def carry_out(self, args: tuple[object, ...], kwargs: Mapping[str, Any]) -> object:
        """Give what it returns; raises what it raises."""
        if self._is_async:
            with EndsForks():
                return await self._call(*args, **kwargs)
        found = await in_thread(self._called, args, kwargs)
        # As a decorator's plain function gives it that is put on an async one.
        return await found if inspect.isawaitable(found) else found

    def _called(self, args: tuple[object, ...], kwargs: Mapping[str, Any]) -> object:
        try:
            with EndsForks():
                return self._call(*args, **kwargs)
        except StopIteration as error:
            # No future takes it: who awaits the thread would wait for ever.
            raise RuntimeError(f"{self._call.__qualname__} raised StopIteration") from error
