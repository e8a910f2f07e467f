"""
The settings of a client, read from the environment.

Written out by hand: importing pydantic for nine values took a third of a workflow process's start.
"""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from runtara_protocol.variables import PREFIX, misspelt
from runtara_sdk.client.address import Address
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_SHOWN = 80
_DAY_MS = 24 * 60 * 60 * 1000
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


@dataclass(frozen=True, init=False)
class Settings:
    """
    Where the core is, which instance this process runs, and how long to wait.

    Each value is read from the environment variable of its name, `RUNTARA_` before it, unless given
    here; an empty variable counts as not set. Raises ConfigurationError, with a line for each value
    that is missing or cannot be used. A variable that looks like one of these misspelt is logged.

    `server_addr` is `host:port`, or several with commas between. `tls_ca`: a PEM file of the
    certificates to trust. The last three are milliseconds; a heartbeat interval of 0 sends none.
    """

    instance_id: str
    tenant_id: str
    launch_id: str | None
    server_addr: str
    server_name: str
    tls_ca: Path | None
    skip_cert_verification: bool
    connect_timeout_ms: int
    request_timeout_ms: int
    heartbeat_interval_ms: int

    def __init__(
        self,
        *,
        instance_id: str | None = None,
        tenant_id: str | None = None,
        launch_id: str | None = None,
        server_addr: str | None = None,
        server_name: str | None = None,
        tls_ca: Path | str | None = None,
        skip_cert_verification: bool | None = None,
        connect_timeout_ms: int | None = None,
        request_timeout_ms: int | None = None,
        heartbeat_interval_ms: int | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in _FIELDS}
        slips, problems = misspelt(os.environ), []
        for name, field in _FIELDS.items():
            try:
                object.__setattr__(self, name, field.value(name, given[name]))
            except _Refused as refused:
                problems.append(str(refused))
        if problems:
            raise ConfigurationError("\n".join([*problems, *slips]))
        for slip in slips:
            logger.warning("%s", slip)


class _Refused(Exception):
    """A value that is missing or can't be used; the message is the line that says so."""


@dataclass(frozen=True, slots=True)
class _Field:
    """How one value is read; `parse` raises ValueError for what it doesn't take."""

    takes: str
    parse: Callable[[Any], object]
    default: object = None
    is_required: bool = False

    def value(self, name: str, given: object) -> object:
        variable = PREFIX + name.upper()
        found = given if given is not None else _variable(variable)
        if found is None:
            if self.is_required:
                raise _Refused(f"{variable}: takes {self.takes}, got nothing")
            return self.default
        try:
            return self.parse(found)
        except ValueError:
            raise _Refused(f"{variable}: takes {self.takes}, got {_cut(found)}") from None


def _variable(name: str) -> str | None:
    """Read a variable, however its name is capitalised; None if it is empty or missing."""
    if name in os.environ:
        return os.environ[name] or None
    return next((value for key, value in os.environ.items() if key.upper() == name), None) or None


def _id(value: object) -> str:
    text = _text(value)
    if len(text.encode()) > 1024 or "\0" in text:
        raise ValueError("not an id")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def _addresses(value: object) -> str:
    return ",".join(map(str, Address.parse_all(_text(value))))


def _pem(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("no path")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except OSError as error:  # SSLError is one.
        raise ValueError("not readable, or no certificate in it") from error
    return Path(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


def _milliseconds(least: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("no whole number")
        if not least <= int(value) <= _DAY_MS:
            raise ValueError("out of range")
        return int(value)

    return parse


def _cut(value: object) -> str:
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    size = len(str(value).encode(errors="backslashreplace"))
    return f"{text[:_SHOWN]}… of {size} bytes"


_ID = "1 to 1024 bytes of UTF-8 without NUL"
_SOME_MS = f"milliseconds, 1 to {_DAY_MS} (a day)"

_FIELDS = {
    "instance_id": _Field(_ID, _id, is_required=True),
    "tenant_id": _Field(_ID, _id, is_required=True),
    "launch_id": _Field(_ID, _id),
    "server_addr": _Field(
        "host:port, an IPv6 host in brackets, the port from 1 to 65535,"
        " or several with commas between",
        _addresses,
        "127.0.0.1:8001",
    ),
    "server_name": _Field("the name the server's certificate is made out to", _text, "localhost"),
    "tls_ca": _Field("a readable PEM file holding the certificates to trust", _pem),
    "skip_cert_verification": _Field("true or false", _flag, default=False),
    "connect_timeout_ms": _Field(_SOME_MS, _milliseconds(1), 10_000),
    "request_timeout_ms": _Field(_SOME_MS, _milliseconds(1), 30_000),
    "heartbeat_interval_ms": _Field(
        f"milliseconds, 0 (off) to {_DAY_MS} (a day)", _milliseconds(0), 30_000
    ),
}
assert list(_FIELDS) == [field.name for field in fields(Settings)]
