"""A step's final failure, saved and raised again."""

import inspect
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, JsonValue

from runtara_sdk.workflow import codec
from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable, StepFailed
from runtara_sdk.workflow.likeness import alike
from runtara_sdk.workflow.reports import message, said, traced
from runtara_sdk.workflow.user_objects import asked, is_a, shown, type_name

_TRACEBACK = 8000
"""Characters; the end of it says most."""

_ADVICE = (
    "can't be saved with all that it holds: catch it in the step, and raise an error of your own"
    " with plain arguments, named in raises="
)


class _Parts(BaseModel):
    """What an error is made of. `plain`: which args are no values of what __init__ takes there."""

    args: list[JsonValue]
    plain: list[int] = []
    fields: dict[str, JsonValue]


class _Failure(BaseModel):
    """As it stands in the database. `parts`: only of what is raised as itself."""

    type: str
    message: str
    attempts: int
    traceback: str
    parts: _Parts | None = None


def encode(key: str, error: Exception, attempts: int, raises: Sequence[type[Exception]]) -> bytes:
    """Write a failure; raises NotSaveable if one of `raises` would not come back as it is."""
    failure = _Failure(
        type=_name(type(error)),
        message=message(error),
        attempts=attempts,
        traceback=traced(error)[-_TRACEBACK:],
    )
    if is_a(error, *raises):
        failure.parts = _parts(key, error)
    return failure.model_dump_json(exclude_none=True).encode()


def decode(step: str, key: str, text: bytes, raises: Sequence[type[Exception]]) -> Exception:
    """
    Read a failure, to be raised with the step's traceback as a note.

    Raises StateUnreadable if its type is not in `raises`.
    """
    failure = _Failure.model_validate_json(text)
    error = _read(step, key, failure, raises)
    note = f"In {key}, attempt {failure.attempts}: {failure.traceback}"
    asked(lambda: BaseException.add_note(error, note), None)
    return error


def _read(step: str, key: str, failure: _Failure, raises: Sequence[type[Exception]]) -> Exception:
    if failure.parts is None:
        return StepFailed(step, key, failure.attempts, failure.type, failure.message)
    kind = next((kind for kind in _tree(raises) if _name(kind) == failure.type), None)
    if kind is None:
        raise StateUnreadable(
            f"{key} has failed with {failure.type}, which is not in the step's raises="
            f"{tuple(_name(kind) for kind in raises)}: put it, or what it is called now, there"
        )
    try:
        return _built(key, kind, failure.parts)
    except StateUnreadable:
        raise
    except Exception as error:
        raise StateUnreadable(
            f"{key} has failed with {failure.type}, which can't be made again from what was saved"
            f" ({type_name(error)}: {said(error)}): let it take what it took"
        ) from error


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


def _parts(key: str, error: Exception) -> _Parts:
    what = f"{key}, failing with {_name(type(error))},"
    try:
        parts = _written(what, error)
        back = _built(key, type(error), parts)
        is_same = said(back) == said(error) and all(map(alike, _all(back), _all(error)))
    except Exception as refusal:  # Properties, `__reduce__`, `__new__`: the user's code.
        raise NotSaveable(f"{what} {_ADVICE} ({said(refusal)})") from None
    if not is_same:
        raise NotSaveable(f"{what} {_ADVICE} (it would come back as {shown(back)})")
    return parts


def _written(what: str, error: Exception) -> _Parts:
    parts, hints = _Parts(args=[], fields={}), _hints(type(error))
    given = _args(error)
    for number, (value, hint) in enumerate(
        zip(given, _positional(type(error), len(given)), strict=True)
    ):
        try:
            parts.args.append(_json(what, value, hint))
        except NotSaveable:
            # Many an __init__ gives super() something else than it takes.
            parts.args.append(_json(what, value, Any))
            parts.plain.append(number)
    for name, value in _fields(error).items():
        parts.fields[name] = _json(what, value, hints.get(name, Any))
    return parts


def _built(key: str, kind: type[Exception], parts: _Parts) -> Exception:
    """Make it without its __init__, which may take something else than its args."""
    what, hints = f"{key}, failing with {_name(kind)},", _hints(kind)
    taken = enumerate(zip(parts.args, _positional(kind, len(parts.args)), strict=True))
    error = kind.__new__(
        kind,
        *(
            _value(what, value, Any if number in parts.plain else hint)
            for number, (value, hint) in taken
        ),
    )
    for name, value in parts.fields.items():
        setattr(error, name, _value(what, value, hints.get(name, Any)))
    return error


def _all(error: Exception) -> tuple[object, object]:
    return _args(error), _fields(error)


def _args(error: Exception) -> tuple[object, ...]:
    """What it is made with; an OSError leaves the file's name out of its `args`."""
    match error.__reduce__():
        case (made, tuple(given), *_) if made is type(error):
            return given
    return error.args


def _fields(error: Exception) -> dict[str, object]:
    slots = {
        name: getattr(error, name)
        for kind in type(error).__mro__
        for name in _slots(kind)
        if not name.startswith("__") and hasattr(error, name)
    }
    return slots | {name: value for name, value in vars(error).items() if name != "__notes__"}


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


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
