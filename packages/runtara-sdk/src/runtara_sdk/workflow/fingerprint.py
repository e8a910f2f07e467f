"""Arguments as text: the same for the same arguments, in any process."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from runtara_sdk.workflow.likeness import alike

_SHOWN = 200

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True)

_EMPTY = (list, dict, set, frozenset, tuple)


def fingerprint(arguments: Mapping[str, object]) -> str:
    """
    Show a call's arguments, which are given by name; long ones cut, with a digest.

    What has no value of its own, such as a connection, is shown by its type.
    """
    text = ", ".join(f"{name}={_text(value)}" for name, value in arguments.items())
    if len(text) <= _SHOWN:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{text[:_SHOWN]}… sha256:{digest}"


def _text(value: object) -> str:
    return _JSON.encode(_plain(value))


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
    # To show an iterator would use it up.
    return _typed(value) if isinstance(value, Iterator) else _of_pydantic(value)


def _changed(value: object) -> dict[str, object] | None:
    """
    The fields of a dataclass or a model but for those at their defaults; None: it has none.

    So a class may be given a field, or another name, under instances that are under way.
    """
    known: Any = getattr(type(value), "model_fields", None)
    if is_dataclass(value) and not isinstance(value, type):
        known = {field.name: field for field in fields(value)}
    elif isinstance(known, Mapping):
        known = {name: field for name, field in known.items() if not field.exclude}
    else:
        return None
    named = {name: getattr(value, name, None) for name in known}
    changed = {name: item for name, item in named.items() if not alike(item, _default(known[name]))}
    return changed | (getattr(value, "__pydantic_extra__", None) or {})


def _default(field: Any) -> object:
    """A field's default, whether a dataclass's or a model's: called only for what is empty."""
    return field.default_factory() if field.default_factory in _EMPTY else field.default


def _of_pydantic(value: object) -> object:
    # Only now, for most arguments are plain: pydantic takes a tenth of a second to import.
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings")
    except PydanticSerializationError:
        return _typed(value)


def _typed(value: object) -> str:
    return f"<{type(value).__qualname__}>"
