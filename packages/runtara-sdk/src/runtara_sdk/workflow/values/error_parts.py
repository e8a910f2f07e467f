"""Takes an error apart into values that JSON can hold, and makes it again from them."""

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, JsonValue
from pydantic_core import from_json, to_json

from runtara_sdk.workflow.errors import NotSerializable
from runtara_sdk.workflow.user_objects import asked, shown
from runtara_sdk.workflow.values import codec
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.partial_object import PartialObject
from runtara_sdk.workflow.values.tracebacks import storable

_KNOWN: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (*(bytes, tuple, set, frozenset, date, datetime, time, timedelta, Decimal, UUID),)
}
"""Types by which a part is read if nothing is annotated."""

_SHOWN = 1000
"""The most characters of an object's text."""


class Rest(BaseModel):
    """The rest that is saved of an object that JSON can't hold."""

    type: str
    shown: str
    kept: dict[str, JsonValue]


class ErrorParts(BaseModel):
    """
    The parts of an error: its args and its fields.

    `plain`: the numbers of args that do not fit the parameter of __init__ at that place. `kinds`
    and `rests` have an arg's number or a field's name as key: `kinds` for parts read by a type of
    _KNOWN, `rests` for parts of which only a part is saved.
    """

    args: list[JsonValue]
    plain: list[int] = []
    fields: dict[str, JsonValue]
    kinds: dict[str, str] = {}
    rests: dict[str, Rest] = {}


def taken_apart(what: str, error: BaseException) -> tuple[ErrorParts, list[str]]:
    """Return an error's parts, without a group's errors, and the names of unsavable parts."""
    parts, hints, left_out = ErrorParts(args=[], fields={}), _hints(type(error)), []
    given = error.args[:1] if isinstance(error, BaseExceptionGroup) else _args(error)
    for number, value in enumerate(given):
        hint = _positional(type(error), len(given))[number]
        found, is_plain = _part(what, value, hint, parts, str(number))
        parts.args.append(found)
        if is_plain:
            # Many an __init__ passes other values to super() than its own arguments.
            parts.plain.append(number)
        left_out += _described(f"argument {number + 1}", parts.rests.get(str(number)))
    for name, value in _fields(error).items():
        hint = hints.get(name, Any)
        parts.fields[name], is_plain = _part(what, value, hint, parts, name)
        left_out += _described(f".{name}", parts.rests.get(name))
    return parts, left_out


def built(
    what: str,
    kind: type[BaseException],
    parts: ErrorParts,
    form: Form,
    grouped: Sequence[BaseException] | None = None,
) -> BaseException:
    """Make an error without calling __init__, which may take other arguments than `args`."""
    hints = _hints(kind)
    args = [
        _value(what, value, Any if number in parts.plain else hint, parts, str(number), form)
        for number, (value, hint) in enumerate(
            zip(parts.args, _positional(kind, len(parts.args)), strict=True)
        )
    ]
    error = kind.__new__(kind, *args, *(() if grouped is None else (grouped,)))
    for name, value in parts.fields.items():
        found = _value(what, value, hints.get(name, Any), parts, name, form)
        setattr(error, name, found)
    return error


def _part(
    what: str, value: object, hint: object, parts: ErrorParts, name: str
) -> tuple[JsonValue, bool]:
    """Write a part, by its annotation or (True) without it; if it can't be, keep a rest of it."""
    known = _KNOWN.get(type(value).__name__)
    for annotation in (hint, Any, known):
        try:
            found = _json(what, value, annotation)
        except NotSerializable:
            continue
        if annotation is known is not None:
            parts.kinds[name] = known.__name__
        return found, annotation is not hint
    parts.rests[name] = _rest(what, value)
    return None, False


def _rest(what: str, value: object) -> Rest:
    """
    Keep the object's public attributes that are numbers, bools or None; no computed properties.

    Text, and objects that hold text, may be a secret that must not be saved: the headers of a
    request may hold a token, and its body a password.
    """
    kept = {}
    for name, part in _attributes(value):
        # Exactly these types: a subclass would be shown by the user's code.
        if part is None or type(part) in (bool, int, float):
            with suppress(NotSerializable):  # An int may have more digits than Python reads.
                kept[name] = _json(what, part, Any)
    return Rest(type=type(value).__qualname__, shown=storable(shown(value))[:_SHOWN], kept=kept)


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    found: dict[str, object] = asked(lambda: dict(vars(value)), {})
    yield from ((name, part) for name, part in found.items() if not name.startswith("_"))


def _described(name: str, rest: Rest | None) -> list[str]:
    if rest is None:
        return []
    kept = f" (all but {', '.join(rest.kept)})" if rest.kept else ""
    return [f"{name}, a {rest.type}{kept}"]


def _value(
    what: str, value: JsonValue, hint: object, parts: ErrorParts, name: str, form: Form
) -> object:
    if name in parts.rests:
        rest = parts.rests[name]
        return PartialObject(rest.type, rest.shown, rest.kept)
    known = _KNOWN.get(parts.kinds.get(name, ""))
    return codec.decode(what, to_json(value), hint if known is None else known, form)


def _args(error: BaseException) -> tuple[object, ...]:
    """The arguments to make the error with; an OSError's `args` lack the file's name."""
    match asked(error.__reduce__, None):
        case (made, tuple(given), *_) if made is type(error):
            return given
    return error.args


def _fields(error: BaseException) -> dict[str, object]:
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
    written = codec.encode(what, value, hint)
    if written.form is not Form.NAMES:
        raise NotSerializable(f"{what} holds what is only written by its aliases")
    found: JsonValue = from_json(written.text)
    return found


def _hints(kind: type) -> dict[str, object]:
    """The annotations of an error's fields, from its class and its __init__."""
    found: dict[str, object] = {}
    for place in (kind.__init__, kind):  # type: ignore[misc]  # the class's own, whatever it is
        try:
            found |= typing.get_type_hints(place)
        except (NameError, TypeError):
            continue
    return found


def _positional(kind: type[BaseException], count: int) -> list[object]:
    """The annotations of an error's first arguments, Any where there are none."""
    hints = _hints(kind)
    try:
        names = list(inspect.signature(kind).parameters)[:count]
    except ValueError:
        names = []
    found = [hints.get(name, Any) for name in names]
    return found + [Any] * (count - len(found))
