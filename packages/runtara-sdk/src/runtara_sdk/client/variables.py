"""
Settings from arguments or environment variables, each read and checked by itself.

Done without pydantic: importing it for nine values took a third of a workflow process's start.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtara_protocol.variables import PREFIX, misspelt
from runtara_sdk.client.address import Address
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_SHOWN = 80
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})
DAY_MS = 24 * 60 * 60 * 1000


def values(fields: Mapping[str, "Field"], given: Mapping[str, object]) -> dict[str, Any]:
    """
    Return each field's value: the argument, else the environment variable, else the default.

    Raises ConfigurationError, with a line for each value that is missing or can't be used. A
    variable that is probably a misspelling of one of ours is logged.
    """
    found: dict[str, Any] = {}
    variables = _ours()
    slips, problems = misspelt(variables), []
    for name, field in fields.items():
        try:
            found[name] = field.value(name, given[name], variables)
        except _Refused as refused:
            problems.append(str(refused))
    if problems:
        raise ConfigurationError("\n".join([*problems, *slips]))
    for slip in slips:
        logger.warning("%s", slip)
    return found


class _Refused(Exception):
    """A value is missing or can't be used; the message is the line that says so."""


@dataclass(frozen=True, slots=True)
class Field:
    """How one value is read; `parse` raises ValueError for a value that it doesn't take."""

    takes: str
    parse: Callable[[Any], object]
    default: object = None
    is_required: bool = False

    def value(self, name: str, given: object, variables: Mapping[str, str]) -> object:
        variable = PREFIX + name.upper()
        found = given if given is not None else variables.get(variable) or None
        if found is None:
            if self.is_required:
                raise _Refused(f"{variable}: takes {self.takes}, got nothing")
            return self.default
        try:
            return self.parse(found)
        except ValueError:
            raise _Refused(f"{variable}: takes {self.takes}, got {_cut(found)}") from None


def _ours() -> dict[str, str]:
    """
    Return the variables with our prefix by their names in capitals, in whatever case they are.

    They are looked through once, because a search for each missing one would cost a launch time.
    """
    found: dict[str, str] = {}
    for key in os.environ:
        name = key.upper()
        if name.startswith(PREFIX) and (name == key or name not in found):
            found[name] = os.environ[key]
    return found


def origin(name: str, value: str, default: object) -> str:
    """
    Say for an error where an address is from: the variable, an argument, or neither.

    name: that of the argument, which is also the variable's after `RUNTARA_`.
    """
    variable = PREFIX + name.upper()
    found = _ours().get(variable) or None
    if found is None and value == default:
        return f"{variable} is not set"
    shown = value.replace(",", ", ")
    if found is not None and _is_same(found, value):
        return f"{variable} is {shown}"
    return f"the client was given {name} {shown}, and {variable} is {found or 'not set'}"


def _is_same(found: str, value: str) -> bool:
    try:
        return addresses(found) == value
    except ValueError:
        return False


def identifier(value: object) -> str:
    """Take 1 to 1024 bytes of UTF-8 without NUL."""
    found = text(value)
    if len(found.encode()) > 1024 or "\0" in found:
        raise ValueError("not an id")
    return found


def text(value: object) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def addresses(value: object) -> str:
    """Take `host:port`, or several with commas between."""
    return ",".join(map(str, Address.parse_all(text(value))))


def pem(value: object) -> Path:
    """Take a readable PEM file of certificates."""
    if not isinstance(value, str | Path):
        raise ValueError("no path")
    # Imported here, and without an OpenSSL context: that would take a tenth of a launch's time.
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(Path(value).read_bytes())
    except OSError as error:
        raise ValueError("not readable") from error
    return Path(value)


def flag(value: object) -> bool:
    """Take a bool, or a word for one."""
    if isinstance(value, bool):
        return value
    word = text(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


def milliseconds(least: int) -> Callable[[object], int]:
    """Take whole milliseconds, from the least to a day."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("no whole number")
        if not least <= int(value) <= DAY_MS:
            raise ValueError("out of range")
        return int(value)

    return parse


def _cut(value: object) -> str:
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    size = len(str(value).encode(errors="backslashreplace"))
    return f"{text[:_SHOWN]}… of {size} bytes"
