"""The differences between a value and its copy that was written and read back."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import Enum

from runtara_sdk.workflow.user_objects import shown, type_name
from runtara_sdk.workflow.values.contents import is_plain, parts


@dataclass(slots=True)
class Losses:
    """
    The losses of a value.

    `first` says where the value that was read first differs; None: it is equal and of a compatible
    type. `zones` are the paths to times that came back with an offset instead of their zone.
    """

    first: str | None = None
    zones: list[str] = field(default_factory=list)


def losses(one: object, back: object) -> Losses:
    """
    Compare a value with the value that was read back.

    Types are compatible as for a type checker: an int with a float, a subclass with its base, if it
    has no more attributes. NaN equals NaN.
    """
    found = Losses()
    found.first = next(_differences(one, back, "", found.zones), None)
    return found


def _differences(one: object, back: object, path: str, zones: list[str]) -> Iterator[str]:
    if is_plain(one) and type(one) is type(back) and one == back:
        return
    if not _passes(one, back):
        yield _difference(one, back, path)
        return
    if isinstance(one, datetime | time) and isinstance(back, datetime | time):
        yield from _moments(one, back, path, zones)
        return
    if isinstance(one, Mapping):
        assert isinstance(back, Mapping)
        yield from _mappings(one, back, path, zones)
        return
    compare = _compared(one)
    if compare is not None:
        yield from compare(one, back, path, zones)
    elif not (one == back or (one != one and back != back)):
        yield _difference(one, back, path)


def _passes(one: object, back: object) -> bool:
    kind, to = type(one), type(back)
    return (
        kind is to
        or (issubclass(kind, to) and not _has_more(one))
        or (to is float and issubclass(kind, int))
        or (to is complex and issubclass(kind, int | float))
        # The annotations Mapping and Set take other types than the ones that reading JSON makes.
        or (issubclass(kind, Mapping) and issubclass(to, Mapping))
        or (issubclass(kind, AbstractSet) and issubclass(to, AbstractSet))
        or issubclass(kind, _generic(to))
    )


def _has_more(one: object) -> bool:
    """Return whether a subclass's value has attributes that are not fields."""
    return parts(one) is None and not isinstance(one, Enum) and bool(getattr(one, "__dict__", None))


def _generic(kind: type) -> type | tuple[()]:
    """The generic class of a parametrised model, such as Page of Page[int]; () for others."""
    origin = getattr(kind, "__pydantic_generic_metadata__", {}).get("origin")
    return origin if isinstance(origin, type) else ()


_Comparison = Callable[..., Iterator[str]]


def _compared(one: object) -> _Comparison | None:
    if isinstance(one, list | tuple | deque):
        return _sequences
    if isinstance(one, AbstractSet):
        return _sets
    return None if parts(one) is None else _fields


def _moments(
    one: datetime | time, back: datetime | time, path: str, zones: list[str]
) -> Iterator[str]:
    is_same = one.replace(tzinfo=None, fold=0) == back.replace(tzinfo=None, fold=0)
    # Not by `==`: times in different zones are never equal in the hour that comes twice.
    if not (is_same and one.utcoffset() == back.utcoffset()):
        yield _difference(one, back, path)
    elif one.tzinfo is None and one.fold != back.fold:
        yield f"{_at(path)} has fold={one.fold}, and would come back with fold={back.fold}"
    elif _is_zoned(one) and not _is_zoned(back):
        zones.append(path)


def _is_zoned(moment: datetime | time) -> bool:
    """Return whether its UTC offset may change, as it does in a zone when days are added."""
    return moment.tzinfo is not None and moment.tzinfo.utcoffset(None) is None


def _mappings(
    one: Mapping[object, object], back: Mapping[object, object], path: str, zones: list[str]
) -> Iterator[str]:
    keys = {key: key for key in back}
    for key, value in one.items():
        if key not in keys:
            yield f"{_at(path)} would come back without the key {key!r}"
        else:
            yield from _differences(key, keys[key], f"the key {key!r} of {_at(path)}", zones)
            yield from _differences(value, back[key], f"{path}[{key!r}]", zones)
    if len(back) > len(one):
        yield _difference(one, back, path)


def _sequences(
    one: Collection[object], back: Collection[object], path: str, zones: list[str]
) -> Iterator[str]:
    if len(one) != len(back) or getattr(one, "maxlen", None) != getattr(back, "maxlen", None):
        yield _difference(one, back, path)
        return
    for number, (value, found) in enumerate(zip(one, back, strict=True)):
        yield from _differences(value, found, f"{path}[{number}]", zones)


def _sets(
    one: AbstractSet[object], back: AbstractSet[object], path: str, zones: list[str]
) -> Iterator[str]:
    if one != back:
        yield _difference(one, back, path)
        return
    found = {value: value for value in back}
    for value in one:
        yield from _differences(value, found[value], f"{path}[{value!r}]", zones)


def _fields(one: object, back: object, path: str, zones: list[str]) -> Iterator[str]:
    held, found = parts(one) or {}, parts(back) or {}
    for name, value in held.items():
        if name in found:
            yield from _differences(value, found[name], f"{path}.{name}", zones)
        else:
            yield f"{path}.{name}, which is {shown(value, 100)}, would be lost"


def _difference(one: object, back: object, path: str) -> str:
    kind = "" if type(one) is type(back) else f" ({type_name(one)})"
    of = "" if type(one) is type(back) else f" ({type_name(back)})"
    return f"{_at(path)} is {shown(one, 100)}{kind}, and would come back as {shown(back, 100)}{of}"


def _at(path: str) -> str:
    return path or "it"
