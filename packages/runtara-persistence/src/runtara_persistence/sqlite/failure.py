"""What a driver's error means to the person who runs the server."""

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType

from runtara_domain.error import DatabaseError

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: "another process holds it: find out which, or try again",
        sqlite3.SQLITE_LOCKED: "another connection holds it: find out which, or try again",
        sqlite3.SQLITE_FULL: "there is no room for more: free space on its disk, then try again",
        sqlite3.SQLITE_READONLY: "make the file and its folder writable to this user",
        sqlite3.SQLITE_PERM: "make the file and its folder writable to this user",
        sqlite3.SQLITE_CANTOPEN: "check that the path names a file, and that this user may open it",
        sqlite3.SQLITE_IOERR: "look into the system's log for what is wrong with its disk",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
        sqlite3.SQLITE_NOTADB: "the file is something else: name another one",
        sqlite3.SQLITE_NOMEM: "the process has no memory left",
        sqlite3.SQLITE_TOOBIG: "the value is larger than SQLite takes",
    }
)


def explain(attempt: str, path: str, error: sqlite3.Error) -> DatabaseError:
    """Say what was attempted, with what file, what the driver says, and what to do about it."""
    # The errors the driver's own code raises carry no number.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    # The low byte is the kind of error, the rest a variety of it.
    advice = None if code is None else _ADVICE.get(code & 0xFF)
    message = f"Failed to {attempt} in {path}: {error}"
    return DatabaseError(message if advice is None else f"{message}; {advice}")
