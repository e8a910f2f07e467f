"""Arguments as text: the same for the same arguments, in any process."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass

_SHOWN = 200


def fingerprint(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    *,
    skip: int = 0,
) -> str:
    """
    Show a call's arguments by name, but for the first few; long ones cut, with a digest.

    What has no value of its own, such as a connection, is shown by its type.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    named = list(bound.arguments.items())[skip:]
    text = ", ".join(f"{name}={_text(value)}" for name, value in named)
    if len(text) <= _SHOWN:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{text[:_SHOWN]}… sha256:{digest}"


def _text(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


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
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: _plain(getattr(value, field.name, None)) for field in fields(value)}
        return {type(value).__qualname__: named}
    # To show an iterator would use it up.
    return _typed(value) if isinstance(value, Iterator) else _of_pydantic(value)


def _of_pydantic(value: object) -> object:
    # Only now, for most arguments are plain: pydantic takes a tenth of a second to import.
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings")
    except PydanticSerializationError:
        return _typed(value)


def _typed(value: object) -> str:
    return f"<{type(value).__qualname__}>"
