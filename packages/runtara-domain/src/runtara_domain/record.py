"""
Frozen records, which cost a fifth of the standard library's at import.

`dataclass(frozen=True, slots=True)` compiles six methods for each class, which takes nearly a
millisecond. Records share five of the six, and compile `__init__` alone.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
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

    kw_only: whether its fields are given by their names alone. `fields`, `replace`, `asdict`,
    `copy` and `pickle` take it as any other dataclass. A method in the class's body stays.
    """
    if cls is None:
        return lambda each: _made(each, kw_only)
    return _made(cls, kw_only)


def _made(cls: type[T], kw_only: bool) -> type[T]:
    # Without one, the standard library would make one from the signature.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    made.__init__ = _init(made)
    names = [each.name for each in fields(made) if each.compare]
    made.__compared__ = staticmethod(attrgetter(*names) if names else _nothing)
    for name, method in _SHARED.items():
        if vars(made).get(name) is None:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _init(cls: Any) -> Callable[..., None]:
    """Compile the method that sets the fields by their slots, and then calls `__post_init__`."""
    space: dict[str, Any] = {"MISSING": MISSING}
    by_place: list[str] = []
    by_name: list[str] = []
    lines = []
    for each in fields(cls):
        name = each.name
        space[f"set_{name}"] = getattr(cls, name).__set__
        taken, value = _taken(each, space)
        if each.init:
            (by_name if each.kw_only else by_place).append(taken)
        if value is not None:
            lines.append(f"    set_{name}(self, {value})\n")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()\n")
    taken = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else [])])
    exec(f"def __init__({taken}):\n{''.join(lines) or '    pass'}", space)
    made: Callable[..., None] = space["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    return made


def _taken(each: "Field[Any]", space: dict[str, Any]) -> tuple[str, str | None]:
    """Return a field's parameter, and its value, None if it is left unset."""
    name = each.name
    if each.default is not MISSING:
        space[f"default_{name}"] = each.default
        return f"{name}=default_{name}", name if each.init else f"default_{name}"
    if each.default_factory is not MISSING:
        space[f"make_{name}"] = each.default_factory
        if not each.init:
            return "", f"make_{name}()"
        return f"{name}=MISSING", f"make_{name}() if {name} is MISSING else {name}"
    return name, name if each.init else None


def _nothing(one: object) -> tuple[()]:
    return ()


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


def _setattr(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[object]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[object]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


_SHARED: dict[str, Callable[..., object]] = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
