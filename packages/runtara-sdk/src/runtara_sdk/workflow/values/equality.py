"""Compares a value that was written and read with the original, types included."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, time

from runtara_sdk.workflow.user_objects import asked


def strictly_equal(one: object, other: object) -> bool:
    """
    Return whether both are equal and of the same types at any depth; NaN equals NaN.

    Values count as not equal if comparing them raises.
    """
    return asked(lambda: bool(_are_equal(one, other)), False)


def _are_equal(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    if isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        return len(one) == len(other) and all(map(strictly_equal, one, other))
    if isinstance(one, datetime | time):
        assert isinstance(other, datetime | time)
        return one == other and one.fold == other.fold and _is_fixed(one) == _is_fixed(other)
    if isinstance(one, Mapping):
        assert isinstance(other, Mapping)
        return _types(one) == _types(other) and all(
            strictly_equal(one[key], other[key]) for key in one
        )
    if isinstance(one, set | frozenset):
        assert isinstance(other, set | frozenset)
        return one == other and _types(one) == _types(other)
    if isinstance(one, deque):
        assert isinstance(other, deque)
        return one.maxlen == other.maxlen and strictly_equal([*one], [*other])
    parts = _parts(one)
    return one == other if parts is None else strictly_equal(parts, _parts(other))


def _is_fixed(moment: datetime | time) -> bool:
    """Return whether its UTC offset never changes; in a zone it does, as adding days shows."""
    return moment.tzinfo is None or moment.tzinfo.utcoffset(None) is not None


def _types(values: Collection[object]) -> set[tuple[type, object]]:
    return {(type(value), value) for value in values}


def _parts(value: object) -> dict[str, object] | None:
    """The fields of a dataclass or a model; None for a value without fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in fields(value)}
    names = getattr(type(value), "model_fields", None)
    if isinstance(names, Mapping):
        named = {str(name): getattr(value, str(name)) for name in names}
        hidden = ("__pydantic_private__", "__pydantic_extra__")
        return named | {name: getattr(value, name, None) for name in hidden}
    return None
