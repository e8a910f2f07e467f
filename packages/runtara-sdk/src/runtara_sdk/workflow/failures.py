"""A step's final failure, saved and raised again."""

import inspect
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, JsonValue

from runtara_sdk.workflow import codec
from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable, StepFailed
from runtara_sdk.workflow.likeness import alike
from runtara_sdk.workflow.reports import traced

_TRACEBACK = 8000
"""Characters; the end of it says most."""


class _Failure(BaseModel):
    """As it stands in the database. `args`, `fields`: only of what is raised as itself."""

    type: str
    message: str
    attempts: int
    traceback: str
    args: list[JsonValue] | None = None
    fields: dict[str, JsonValue] | None = None


def encode(key: str, error: Exception, attempts: int, raises: Sequence[type[Exception]]) -> bytes:
    """Write a failure; raises NotSaveable if one of `raises` would not come back as it is."""
    failure = _Failure(
        type=_name(type(error)),
        message=str(error),
        attempts=attempts,
        traceback=traced(error)[-_TRACEBACK:],
    )
    if isinstance(error, tuple(raises)):
        failure.args, failure.fields = _parts(key, error)
    return failure.model_dump_json(exclude_none=True).encode()


def decode(step: str, key: str, text: bytes, raises: Sequence[type[Exception]]) -> Exception:
    """
    Read a failure, to be raised with the step's traceback as a note.

    Raises StateUnreadable if its type is not in `raises`.
    """
    failure = _Failure.model_validate_json(text)
    error = _read(step, key, failure, raises)
    error.add_note(f"In {key}, attempt {failure.attempts}: {failure.traceback}")
    return error


def _read(step: str, key: str, failure: _Failure, raises: Sequence[type[Exception]]) -> Exception:
    if failure.args is None or failure.fields is None:
        return StepFailed(step, key, failure.attempts, failure.type, failure.message)
    kind = next((kind for kind in _tree(raises) if _name(kind) == failure.type), None)
    if kind is None:
        raise StateUnreadable(
            f"{key} has failed with {failure.type}, which is not in the step's raises="
            f"{tuple(_name(kind) for kind in raises)}: put it, or what it is called now, there"
        )
    return _built(key, kind, failure.args, failure.fields)


def _name(kind: type) -> str:
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def _tree(kinds: Sequence[type[Exception]]) -> list[type[Exception]]:
    """These classes and all below them."""
    found = list(kinds)
    for kind in found:
        found += kind.__subclasses__()
    return found


def _parts(key: str, error: Exception) -> tuple[list[JsonValue], dict[str, JsonValue]]:
    hints = _hints(type(error))
    what = f"{key}, failing with {_name(type(error))},"
    args = [
        _json(what, value, hint)
        for value, hint in zip(error.args, _positional(type(error), len(error.args)), strict=True)
    ]
    named = {
        name: _json(what, value, hints.get(name, Any)) for name, value in _fields(error).items()
    }
    back = _built(key, type(error), args, named)
    if (
        str(back) != str(error)
        or not alike(back.args, error.args)
        or not alike(_fields(back), _fields(error))
    ):
        raise NotSaveable(f"{what} would come back as {back!r}: give it plain arguments")
    return args, named


def _built(
    key: str, kind: type[Exception], args: list[JsonValue], named: dict[str, JsonValue]
) -> Exception:
    """Make it without its __init__, which may take something else than its args."""
    what, hints = f"{key}, failing with {_name(kind)},", _hints(kind)
    taken = zip(args, _positional(kind, len(args)), strict=True)
    read = [_value(what, value, hint) for value, hint in taken]
    error = kind.__new__(kind, *read)
    error.args = tuple(read)
    for name, value in named.items():
        setattr(error, name, _value(what, value, hints.get(name, Any)))
    return error


def _fields(error: Exception) -> dict[str, object]:
    return {name: value for name, value in vars(error).items() if name != "__notes__"}


def _json(what: str, value: object, hint: object) -> JsonValue:
    from pydantic_core import from_json

    found: JsonValue = from_json(codec.encode(what, value, hint))
    return found


def _value(what: str, value: JsonValue, hint: object) -> object:
    from pydantic_core import to_json

    return codec.decode(what, to_json(value), hint)


def _hints(kind: type) -> dict[str, object]:
    """What its class and its __init__ say of its fields."""
    found: dict[str, object] = {}
    for place in (kind.__init__, kind):  # type: ignore[misc]  # the class's own, whatever it is
        try:
            found |= typing.get_type_hints(place)
        except (NameError, TypeError):
            continue
    return found


def _positional(kind: type[Exception], count: int) -> list[object]:
    """The annotations of its first arguments, Any where there are none."""
    hints = _hints(kind)
    try:
        names = list(inspect.signature(kind).parameters)[:count]
    except ValueError:
        names = []
    found = [hints.get(name, Any) for name in names]
    return found + [Any] * (count - len(found))
