"""Database URLs."""

import os
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
# The values of parameters of a PostgreSQL URL that would otherwise be rejected only on connecting.
_CHOICES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sslmode": frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
        # asyncpg also takes values for standbys, which accept no writes.
        "target_session_attrs": frozenset({"any", "primary", "read-write"}),
    }
)

Address: TypeAlias = tuple[str, int | None]
"""A host, or a folder of sockets, and its port; None if the URL names no port."""


class InvalidLocation(ValueError):
    """The URL names no database that Runtara can open; the message says which URLs it takes."""


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A SQLite database: the path of its file, or `:memory:`."""

    path: str


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """
    A PostgreSQL database: its URL as asyncpg takes it, and `shown`, a text without secrets.

    A URL may name several hosts, or a folder of sockets, and have parameters for TLS. hosts: the
    named hosts, in the URL's order.
    """

    url: str = field(repr=False)
    shown: str
    hosts: tuple[Address, ...] = ()


def parse(url: str) -> SqliteLocation | PostgresLocation:
    """
    Return the database that a URL names, without opening it; SQLite URLs have the form of sqlx.

    Raises InvalidLocation. A URL may have a password, so the message repeats only its scheme, the
    names of its parameters, and values of known parameters.
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
    Create a database file and its folder if they are missing; only this user can read them.

    Raises OSError, or sqlite3.Error if the file can't be opened.
    """
    # Only now: a PostgreSQL database does without.
    import sqlite3

    if path == MEMORY:
        return
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite would create the file so that every user can read it. An existing file is not opened:
    # closing it would drop the locks that another connection of this process may hold on it.
    with suppress(FileExistsError):
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    # A file that can't be opened fails here already: the thread of an aiosqlite connection that
    # fails to open may outlive its event loop.
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
    """Yield hosts that commas separate; a host without a port gets its port from `ports`."""
    names = hosts.split(",") if hosts else []
    theirs = ports.split(",")
    if len(theirs) not in (1, len(names)) and names:
        raise InvalidLocation(
            f"database URL: port takes one number, or one for each of the {len(names)} hosts, got"
            f" {len(theirs)}"
        )
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
    # The text may be part of a password that should have been escaped: it is not repeated.
    raise InvalidLocation(f"database URL: {TAKES}, got a port other than 1 to 65535")


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
    # An escaped `:memory:` is the name of a file, not the database in memory.
    return f"./{path}" if path == MEMORY else path
