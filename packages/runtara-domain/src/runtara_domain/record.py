"""
Frozen records, which take little more than half the standard library's time at import.

`dataclass(frozen=True, slots=True)` compiles six methods for each class. Records share three of
them, and the standard library compiles the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(
    cls: type[T] | None = None, /, *, kw_only: bool = False
) -> type[T] | Callable[[type[T]], type[T]]:
    """
    Make a class a frozen dataclass with slots, equal to others of its class by its fields.

    kw_only: whether its fields are given by their names alone. It is a dataclass for `fields`,
    `replace`, `asdict`, `copy`, `pickle` and pydantic. A method in the class's body stays. Raises
    TypeError for a `field(hash=...)` that differs from `compare`.
    """
    if cls is None:
        return lambda each: _made(each, kw_only)
    return _made(cls, kw_only)


def _made(cls: type[T], kw_only: bool) -> type[T]:
    # Without one, the standard library would make one from the signature.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclass(frozen=True, slots=True, repr=False, eq=False, kw_only=kw_only)(cls)
    for each in fields(made):
        if each.hash is not None and each.hash is not each.compare:
            raise TypeError(f"{cls.__name__}.{each.name}: a record hashes the fields it compares")
    names = [each.name for each in fields(made) if each.compare]
    made.__compared__ = staticmethod(_tuple_of(names))
    for name, method in _SHARED.items():
        if vars(made).get(name) is None:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _tuple_of(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    match names:
        case []:
            return lambda one: ()
        case [name]:
            return lambda one: (getattr(one, name),)
        case _:
            return attrgetter(*names)


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self.__compared__(self) == self.__compared__(other)


def _hash(self: Any) -> int:
    return hash(self.__compared__(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(
        f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr
    )
    return f"{self.__class__.__qualname__}({shown})"


_SHARED: dict[str, Callable[..., object]] = {"__eq__": _eq, "__hash__": _hash, "__repr__": _repr}
