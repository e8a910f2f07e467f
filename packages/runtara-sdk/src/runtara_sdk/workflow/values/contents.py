"""The values that a value holds, at any depth."""

from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass


def is_plain(value: object) -> bool:
    """Return whether a value can't change and holds no other value; calls no user code."""
    kind = type(value)
    return kind is str or kind is int or kind is bool or kind is bytes or value is None


def parts(value: object) -> dict[str, object] | None:
    """The fields of a dataclass or a model by name; None for a value without fields."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    declared = getattr(type(value), "model_fields", None)
    if not isinstance(declared, Mapping):
        return None
    named = {str(name): getattr(value, str(name)) for name in declared}
    extra = getattr(value, "__pydantic_extra__", None) or {}
    private = getattr(value, "__pydantic_private__", None) or {}
    return named | extra | private


def walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield a value and all that it holds, each with its path; a value must not hold itself."""
    yield path, value
    for step, part in _held(value):
        yield from walk(part, f"{path}{step}")


def _held(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"[{key!r}]", key
            yield f"[{key!r}]", part
    elif isinstance(value, list | tuple | deque):
        for number, part in enumerate(value):
            yield f"[{number}]", part
    elif isinstance(value, AbstractSet):
        for part in value:
            yield f"[{part!r}]", part
    else:
        for name, part in (parts(value) or {}).items():
            yield f".{name}", part
