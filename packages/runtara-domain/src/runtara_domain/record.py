"""
Frozen records, which cost a third of the standard library's at import.

`dataclass(frozen=True, slots=True)` compiles six methods for each class, which takes nearly a
millisecond. Records share five of the six, and compile `__init__` alone.
"""

import sys
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
    TypeError: it has an `InitVar`, or a field that is hashed and not compared, or the reverse.
    """
    if cls is None:
        return lambda each: _made(each, kw_only)
    return _made(cls, kw_only)


def _made(cls: type[T], kw_only: bool) -> type[T]:
    # Without one, the standard library would make one from the signature.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    _refuse_unsupported(made)
    if "__init__" not in vars(made):
        made.__init__ = _init(made)
    made.__compared__ = staticmethod(
        _tuple_of([each.name for each in fields(made) if each.compare])
    )
    for name, method in _SHARED.items():
        if vars(made).get(name) is None:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _refuse_unsupported(cls: Any) -> None:
    for each in cls.__dataclass_fields__.values():
        if repr(each._field_type) == "_FIELD_INITVAR":
            raise TypeError(f"{cls.__qualname__}.{each.name}: a record can't have an InitVar")
        if each.hash not in (None, each.compare):
            raise TypeError(
                f"{cls.__qualname__}.{each.name}: a record hashes exactly the fields it compares;"
                " use field(compare=...), not field(hash=...)"
            )


class _Factory:
    """The default of a parameter whose field is made by a factory, as signatures show it."""

    def __repr__(self) -> str:
        return "<factory>"


def _init(cls: Any) -> Callable[..., None]:
    """Compile the method that sets the fields by their slots, and then calls `__post_init__`."""
    # A field can't have the name of a helper: in a class's body Python renames `__set0`.
    helpers: dict[str, Any] = {"__factory": _Factory()}
    by_place = ["__self"]
    by_name: list[str] = []
    types: dict[str, Any] = {}
    lines = []
    for place, each in enumerate(fields(cls)):
        helpers[f"__set{place}"] = getattr(cls, each.name).__set__
        taken, value = _taken(each, f"__default{place}", helpers)
        if each.init:
            (by_name if each.kw_only else by_place).append(taken)
            types[each.name] = each.type
        if value is not None:
            lines.append(f"__set{place}(__self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("__self.__post_init__()")
    taken = ", ".join([*by_place, *(["*", *by_name] if by_name else [])])
    source = (
        f"def make({', '.join(helpers)}):\n"
        f" def __init__({taken}): {'; '.join(lines) or 'pass'}\n"
        " return __init__"
    )
    space: dict[str, Any] = {}
    # The module's names are those that types in quotes are looked up by.
    exec(source, getattr(sys.modules.get(cls.__module__), "__dict__", {}), space)
    made: Callable[..., None] = space["make"](**helpers)
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = types | {"return": None}
    return made


def _taken(each: "Field[Any]", default: str, helpers: dict[str, Any]) -> tuple[str, str | None]:
    """Return a field's parameter, and its value, None if it is left unset."""
    name = each.name
    if each.default is not MISSING:
        helpers[default] = each.default
        return f"{name}={default}", name if each.init else default
    if each.default_factory is not MISSING:
        helpers[default] = each.default_factory
        made = f"{default}()"
        return (
            f"{name}=__factory",
            f"{made} if {name} is __factory else {name}" if each.init else made,
        )
    return name, name if each.init else None


def _tuple_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda one: ()
    get = attrgetter(*names)
    # Of one name, `attrgetter` would return the bare value.
    return get if len(names) > 1 else lambda one: (get(one),)


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
