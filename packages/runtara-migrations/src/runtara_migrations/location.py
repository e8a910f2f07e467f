"""Where a database is, by its URL."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

MEMORY = ":memory:"
TAKES = (
    "takes sqlite:PATH, sqlite://PATH (sqlite:///var/x.db is the absolute /var/x.db)"
    " or sqlite::memory:, with ?mode=rwc or nothing after it,"
    " or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
)

_POSTGRES = frozenset({"postgres", "postgresql"})
# What a parameter of a PostgreSQL URL takes, where a wrong value would only fail on opening.
_CHOICES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sslmode": frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
        # A standby can't be written to, so what asyncpg takes beside these is of no use.
        "target_session_attrs": frozenset({"any", "primary", "read-write"}),
    }
)

Address: TypeAlias = tuple[str, int | None]
"""A host, or a folder of sockets, and its port; None where the URL names none."""


class InvalidLocation(ValueError):
    """The URL names no database this program can open; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A SQLite database: the path of its file, or `:memory:`."""

    path: str


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """
    A PostgreSQL database: its URL as asyncpg takes it, and the part of it that is no secret.

    A URL may name several hosts, or a folder of sockets, and bring parameters for TLS. hosts: those
    it names, as it orders them.
    """

    url: str = field(repr=False)
    shown: str
    hosts: tuple[Address, ...] = ()


def parse(url: str) -> SqliteLocation | PostgresLocation:
    """
    Return the database a URL names, SQLite's spelled as sqlx does; nothing is opened.

    Raises InvalidLocation. What it says repeats nothing of the URL but its scheme and parameter
    names, for a URL may hold a password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise InvalidLocation(f"database URL: {TAKES}, got a text without a scheme")
    if scheme in _POSTGRES:
        return _postgres(url, rest)
    if scheme != "sqlite":
        raise InvalidLocation(f"database URL: {TAKES}, got the scheme {scheme!r}")
    path, _, query = rest.removeprefix("//").partition("?")
    _check_parameters(query)
    return SqliteLocation(path if path == MEMORY else _file_path(path))


def create_missing(path: str) -> None:
    """
    Create a database file and its folder, unless they are there; for this user alone.

    Raises OSError, or sqlite3.Error if the file can't be opened.
    """
    if path == MEMORY:
        return
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite would let every user read it. Never one that is there: to close it would drop the locks
    # that another connection of this process may hold on it.
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    # That it can be opened is seen here, because the thread of an aiosqlite connection that can't
    # be opened may outlive the loop it reports to.
    sqlite3.connect(path).close()


def _postgres(url: str, rest: str) -> PostgresLocation:
    if not rest.startswith("//"):
        raise InvalidLocation(f"database URL: {TAKES}, got no // after postgresql:")
    if "#" in rest:
        raise InvalidLocation(f"database URL: {TAKES}, got a # (in a password it is %23)")
    address, _, query = rest[2:].partition("?")
    authority, _, database = address.partition("/")
    parameters = _parameters(query)
    named = authority.rpartition("@")[2]
    hosts = named or parameters.get("host", "")
    addresses = tuple(_addresses(named, "")) or tuple(
        _addresses(parameters.get("host", ""), parameters.get("port", ""))
    )
    name = unquote(database) or parameters.get("dbname") or parameters.get("database", "")
    shown = f"PostgreSQL {_described(unquote(hosts), name)}"
    return PostgresLocation(url, shown, addresses)


def _described(hosts: str, name: str) -> str:
    return f"{hosts or 'on this machine'}, database {name!r}" if name else hosts or "by default"


def _parameters(query: str) -> Mapping[str, str]:
    try:
        parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise InvalidLocation(
            f"database URL: {TAKES}, got something other than name=value&... after the ?"
        ) from error
    for name, choices in _CHOICES.items():
        if name in parameters and parameters[name] not in choices:
            taken = ", ".join(sorted(choices))
            raise InvalidLocation(f"database URL: {name} takes {taken}, got {parameters[name]!r}")
    return parameters


def _addresses(hosts: str, ports: str) -> Iterator[Address]:
    """Return hosts that are divided by commas; each brings its port, or has it from those."""
    names = hosts.split(",") if hosts else []
    theirs = ports.split(",")
    if len(theirs) not in (1, len(names)) and names:
        raise InvalidLocation(f"database URL: {len(names)} hosts, got {len(theirs)} ports")
    for place, each in enumerate(names):
        name, colon, port = _name_and_port(each)
        default = theirs[place % len(theirs)]
        yield unquote(name), _port(port) if colon else _port(default) if default else None


def _name_and_port(host: str) -> tuple[str, str, str]:
    # A colon inside the brackets of an IPv6 address belongs to it; a path has no port.
    if host.startswith("/"):
        return host, "", ""
    inside, bracket, rest = host.rpartition("]")
    name, colon, port = rest.rpartition(":") if ":" in rest else (rest, "", "")
    return (inside.removeprefix("[") if bracket else name), colon, port


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    # What stands there may be a piece of a password that should have been escaped.
    raise InvalidLocation(f"database URL: {TAKES}, got a port that is no number to 65535")


def _check_parameters(query: str) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name != "mode":
            raise InvalidLocation(f"database URL: {TAKES}, got the parameter {name!r}")
        if value != "rwc":
            raise InvalidLocation(f"database URL: {TAKES}, got mode={value}")


def _file_path(quoted: str) -> str:
    try:
        path = unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError as error:
        raise InvalidLocation(f"database URL: {TAKES}, got a path that is not UTF-8") from error
    if not path:
        raise InvalidLocation(f"database URL: {TAKES}, got no path")
    if "\0" in path:
        raise InvalidLocation(f"database URL: {TAKES}, got a path with a NUL character")
    # Escaped, it is the name of a file, and must not be taken for the database in memory.
    return f"./{path}" if path == MEMORY else path
