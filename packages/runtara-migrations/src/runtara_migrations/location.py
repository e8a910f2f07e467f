"""Where a database is, told by its URL."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote_to_bytes

MEMORY = ":memory:"
TAKES = (
    "takes sqlite:PATH, sqlite://PATH (sqlite:///var/x.db is the absolute /var/x.db)"
    " or sqlite::memory:, with ?mode=rwc or nothing after it"
)


class InvalidLocation(ValueError):
    """The URL names no database this program can open; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class SqliteLocation:
    """A SQLite database: the path of its file, or `:memory:`."""

    path: str


def parse(url: str) -> SqliteLocation:
    """
    Tell the database a URL names, spelled as sqlx does; nothing is opened.

    Raises InvalidLocation. What it says repeats nothing of the URL but its scheme and parameter
    names, for a URL may hold a password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise InvalidLocation(f"database URL: {TAKES}, got a text without a scheme")
    if scheme != "sqlite":
        raise InvalidLocation(f"database URL: {TAKES}, got the scheme {scheme!r}")
    path, _, query = rest.removeprefix("//").partition("?")
    _check_parameters(query)
    return SqliteLocation(path if path == MEMORY else _file_path(path))


def create_missing(path: str) -> None:
    """
    Create a database file and its folder, unless they are there.

    Raises OSError, or sqlite3.Error if the file can't be opened.
    """
    if path == MEMORY:
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # SQLite creates the file when it opens it. That it can be opened is seen here, because the
    # thread of an aiosqlite connection that can't be opened may outlive the loop it reports to.
    sqlite3.connect(path).close()


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
