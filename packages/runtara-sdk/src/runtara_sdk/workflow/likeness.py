"""Whether a value that was written and read is the same, types included."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass


def alike(one: object, other: object) -> bool:
    """Tell whether both are of the same types all the way down, and equal; NaN is like NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    if isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Mapping):
        assert isinstance(other, Mapping)
        return _types(one) == _types(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, set | frozenset):
        assert isinstance(other, set | frozenset)
        return one == other and _types(one) == _types(other)
    parts = _parts(one)
    return one == other if parts is None else alike(parts, _parts(other))


def _types(values: Collection[object]) -> set[tuple[type, object]]:
    return {(type(value), value) for value in values}


def _parts(value: object) -> dict[str, object] | None:
    """The fields of a dataclass or a model; None for what has no fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in fields(value)}
    names = getattr(type(value), "model_fields", None)
    if isinstance(names, Mapping):
        return {str(name): getattr(value, str(name)) for name in names}
    return None
