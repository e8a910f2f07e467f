"""
Arguments as form 1 of the records shows them: only for instances that began in that form.

The text depends not only on values, but on names of types and parameters and on pydantic's version.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from runtara_sdk.workflow.values.describing import shortened
from runtara_sdk.workflow.values.equality import strictly_equal

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True)

_EMPTY = (list, dict, set, frozenset, tuple)

_TYPE = re.compile('"<[^"]*>"')
"""Matches the text of a value that is shown by its type."""


@dataclass(frozen=True, slots=True)
class FirstFormArguments:
    """
    The arguments of a call, by name, as text.

    `own`: how many of the first arguments are the object or class that a method belongs to; some
    Python versions showed it. `typed`: the arguments that are shown by their types.
    """

    arguments: tuple[tuple[str, str], ...]
    typed: frozenset[str]
    own: int = 0

    @classmethod
    def of(cls, arguments: Mapping[str, object], own: int = 0) -> "FirstFormArguments":
        """Return the texts of the present arguments."""
        texts = tuple((name, _guarded(value)) for name, value in arguments.items())
        typed = (name for name, value in arguments.items() if _is_typed(value))
        return cls(texts, frozenset(typed), own)

    def fits(self, saved: str) -> bool:
        """Return whether the arguments are the saved ones; parameters and types may be renamed."""
        found = _read(saved)
        names = [name for name, _ in found]
        return any(self._fits(saved, found, names, self.arguments[own:]) for own in {self.own, 0})

    def _fits(
        self,
        saved: str,
        found: Sequence[tuple[str, str]],
        names: Sequence[str],
        arguments: Sequence[tuple[str, str]],
    ) -> bool:
        renamed = [
            (names[number] if number < len(names) else name, text)
            for number, (name, text) in enumerate(arguments)
        ]
        if saved in (_shown(arguments), _shown(renamed)):
            return True
        return len(found) == len(arguments) and all(
            text == was or (name in self.typed and _TYPE.fullmatch(was) is not None)
            for (name, text), (_, was) in zip(arguments, found, strict=True)
        )


def _shown(arguments: Sequence[tuple[str, str]]) -> str:
    return shortened(", ".join(f"{name}={text}" for name, text in arguments))


def _read(saved: str) -> list[tuple[str, str]]:
    """The saved names and texts; where the record was cut, the last text is empty."""
    found: list[tuple[str, str]] = []
    at, decoder = 0, json.JSONDecoder()
    while True:
        name, sign, _ = saved[at:].partition("=")
        if not sign:
            return found
        start = at + len(name) + 1
        try:
            end = decoder.raw_decode(saved, start)[1]
        except ValueError:
            return [*found, (name, "")]
        found.append((name, saved[start:end]))
        if not saved.startswith(", ", end):
            return found
        at = end + 2


def _guarded(value: object) -> str:
    try:
        return _text(value)
    except Exception:  # Such a value can't have been recorded in this form.
        return ""


def _text(value: object) -> str:
    return _JSON.encode(_plain(value))


def _is_typed(value: object) -> bool:
    return not isinstance(value, str) and _guarded(value) == _JSON.encode(_typed(value))


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else _text(key): _plain(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(_text(item) for item in value)
    changed = _changed(value)
    if changed is not None:
        return {name: _plain(item) for name, item in changed.items()}
    # Showing an iterator would consume it.
    return _typed(value) if isinstance(value, Iterator) else _of_pydantic(value)


def _changed(value: object) -> dict[str, object] | None:
    """
    The fields of a dataclass or a model that are not at their defaults; None: it has no fields.

    A class may therefore get a new field, or another name, while instances are under way.
    """
    known: Any = getattr(type(value), "model_fields", None)
    if is_dataclass(value) and not isinstance(value, type):
        known = {field.name: field for field in fields(value)}
    elif isinstance(known, Mapping):
        known = {name: field for name, field in known.items() if not field.exclude}
    else:
        return None
    named = {name: getattr(value, name, None) for name in known}
    changed = {
        name: item
        for name, item in named.items()
        if not strictly_equal(item, _default(known[name]))
    }
    return changed | (getattr(value, "__pydantic_extra__", None) or {})


def _default(field: Any) -> object:
    """A field's default; a default factory is called only if it makes an empty collection."""
    return field.default_factory() if field.default_factory in _EMPTY else field.default


def _of_pydantic(value: object) -> object:
    # Imported here because most arguments need no pydantic: it takes a tenth of a second.
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings")
    except PydanticSerializationError:
        return _typed(value)


def _typed(value: object) -> str:
    return f"<{type(value).__qualname__}>"
