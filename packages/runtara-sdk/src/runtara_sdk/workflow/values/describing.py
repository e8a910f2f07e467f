"""Shows values as text, which is the same in every process and Python version."""

import base64
import hashlib
import json
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import cache, lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

OPAQUE = "<object>"
"""Stands for an object without a value, such as a connection; all such objects look alike."""

_SHOWN = 200
"""The most characters of a text that are shown."""

_DEEPEST = 50
"""The most levels of nested values that are shown."""

_quoted = json.encoder.encode_basestring

_write = json.JSONEncoder(ensure_ascii=False).encode

_LONGEST_INT = 10**600
"""From here on ints are shown in hex: Python writes no decimals of thousands of digits."""

_Above = tuple[int, ...]
"""The ids of the values around a value; a value that holds itself is not shown inside itself."""


def described(value: object) -> str:
    """Return a value as text; never raises, even if user code does, and consumes no iterator."""
    return _quoted(value) if type(value) is str else _shown(value, ())


def shortened(text: str) -> str:
    """Return the text; a long one is cut, with a digest that identifies it."""
    if len(text) <= _SHOWN:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{text[:_SHOWN]}… sha256:{digest}"


def _shown(value: object, above: _Above) -> str:
    if len(above) > _DEEPEST or id(value) in above:
        return OPAQUE
    try:
        return _plain(value) or _parts(value, (*above, id(value))) or _scalar(value)
    except Exception:  # The user's properties, comparisons and hashes may raise anything.
        return OPAQUE


def _plain(value: object) -> str | None:
    """Show a value that JSON has, such as a number; None: JSON has no such value."""
    if isinstance(value, Enum):
        return described(value.value)
    if value is None or isinstance(value, bool | float | str):
        return _write(value)
    if isinstance(value, int):
        return int.__repr__(value) if abs(value) < _LONGEST_INT else hex(value)
    return OPAQUE if isinstance(value, type) else None


def _parts(value: object, above: _Above) -> str | None:
    """Show a value that holds other values; None: it holds none."""
    if isinstance(value, Mapping):
        pairs = (f"{_shown(key, above)}: {_shown(item, above)}" for key, item in value.items())
        return _listed("{}", sorted(pairs))
    if isinstance(value, list | tuple | deque):
        return _listed("[]", [_shown(item, above) for item in value])
    if isinstance(value, Set):
        return _listed("{}", sorted(_shown(item, above) for item in value))
    kind: Any = type(value)
    defaults = _defaults(kind)
    if defaults is None:
        return None
    shown = {name: _field(value, name, above) for name in defaults}
    changed = {name: text for name, text in shown.items() if text != defaults[name]}
    extra: Mapping[str, object] = getattr(value, "__pydantic_extra__", None) or {}
    changed |= {name: _shown(item, above) for name, item in extra.items()}
    return _listed("{}", sorted(f'"{name}": {text}' for name, text in changed.items()))


def _field(value: object, name: str, above: _Above) -> str:
    try:
        return _shown(getattr(value, name), above)
    except Exception:  # The attribute is not set, or is a property that raises.
        return OPAQUE


def _listed(brackets: str, texts: Iterable[str]) -> str:
    return f"{brackets[0]}{', '.join(texts)}{brackets[1]}"


@lru_cache(maxsize=1024)
def _defaults(kind: type) -> Mapping[str, str | None] | None:
    """
    The fields of a dataclass or a model, with the texts of their defaults; None: it has no fields.

    A field at its default is not shown. A class may therefore get a new field, or another name,
    while instances are under way. A field that the class leaves out of comparisons is not shown.
    """
    if is_dataclass(kind):
        return {one.name: _default_of_dataclass(one) for one in fields(kind) if one.compare}
    known = getattr(kind, "model_fields", None)
    if not isinstance(known, Mapping):
        return None
    return {str(name): _default_of_model(one) for name, one in known.items() if not one.exclude}


def _default_of_dataclass(field: Field[Any]) -> str | None:
    if field.default_factory is not MISSING:
        return described(field.default_factory())
    return None if field.default is MISSING else described(field.default)


def _default_of_model(field: Any) -> str | None:
    if field.is_required():
        return None
    try:
        return described(field.get_default(call_default_factory=True))
    except Exception:  # A factory may need the fields that are validated before it.
        return None


@cache
def _textual() -> tuple[type, ...]:
    """The types shown by `str`; imported at first use, because some take long and few are used."""
    from decimal import Decimal
    from fractions import Fraction
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    numbers = (Decimal, Fraction, complex, timedelta, range)
    return (*numbers, UUID, PurePath, IPv4Address, IPv4Network, IPv6Address, IPv6Network)


def _scalar(value: object) -> str:
    from zoneinfo import ZoneInfo  # Not at the top: importing it searches the machine for zones.

    if isinstance(value, bytes | bytearray | memoryview):
        return f'"{base64.b64encode(value).decode()}"'
    if isinstance(value, datetime | date | time):
        return f'"{value.isoformat()}"'
    if isinstance(value, _textual()):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, re.Pattern):
        return described(value.pattern)
    if isinstance(value, ZoneInfo):
        return described(value.key)
    return OPAQUE if isinstance(value, Iterator) else _of_pydantic(value)


def _of_pydantic(value: object) -> str:
    """Show a value of a pydantic type, such as a URL; a secret is shown as asterisks."""
    is_theirs = any(kind.__module__.startswith("pydantic") for kind in type(value).__mro__)
    if not is_theirs or "pydantic_core" not in sys.modules:
        return OPAQUE
    from pydantic_core import to_jsonable_python

    found = to_jsonable_python(value)
    return described(found) if isinstance(found, str | int | float) else OPAQUE
