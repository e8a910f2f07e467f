"""Explains the driver's errors to the operator."""

import errno
import os
import sqlite3
from collections.abc import Mapping
from tempfile import TemporaryFile
from types import MappingProxyType

from runtara_domain.error import DatabaseError
from runtara_migrations.location import MEMORY

_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: "another process holds it: find out which, or try again",
        sqlite3.SQLITE_LOCKED: "another connection holds it: find out which, or try again",
        sqlite3.SQLITE_FULL: "the disk is full: free space on it, then try again",
        sqlite3.SQLITE_READONLY: "make the file and its folder writable to this user",
        sqlite3.SQLITE_PERM: "make the file and its folder writable to this user",
        sqlite3.SQLITE_CANTOPEN: "check that the path names a file, and that this user may open it",
        sqlite3.SQLITE_IOERR: "the disk failed: see the system's log",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
        sqlite3.SQLITE_NOTADB: "the file is no database: name another one",
        sqlite3.SQLITE_NOMEM: "the process has no memory left",
        sqlite3.SQLITE_TOOBIG: "the value is larger than SQLite takes",
    }
)

_OF_THE_SYSTEM = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    }
)
_FRAME = 4096


def diagnose(path: str, error: sqlite3.Error) -> None:
    """
    Try a similar operation on the system, and add the system's error to SQLite's as a note.

    SQLite does not report the system's error. This writes and deletes a file without a name in the
    database's folder. It may therefore block, and must not be called in an event loop.
    """
    if path == MEMORY or _kind(error) not in _OF_THE_SYSTEM or hasattr(error, "__notes__"):
        return
    try:
        _ask_alike(os.path.realpath(path))
    except OSError as refusal:
        error.add_note(f"the system says {named(refusal)}")


def named(error: OSError) -> str:
    """Return a system error's name and text, without the path of the file."""
    return f"{errno.errorcode.get(error.errno or 0, type(error).__name__)} ({error.strerror})"


def _ask_alike(path: str) -> None:
    sizes = [os.path.getsize(each) for each in (path, f"{path}-wal") if os.path.exists(each)]
    if sizes:
        # This needs the same rights as writing. The file is not opened, because closing it would
        # drop the locks that this process has on it.
        os.utime(path)
    with TemporaryFile(dir=os.path.dirname(path)) as probe:
        os.pwrite(probe.fileno(), bytes(_FRAME), max(sizes, default=0))


def explain(attempt: str, path: str, error: sqlite3.Error) -> DatabaseError:
    """Build an error: what was attempted, the file, the driver's message, and what to do."""
    kind = _kind(error)
    advice = None if kind is None else _ADVICE.get(kind)
    said = [f"Failed to {attempt} in {path}: {error}", *getattr(error, "__notes__", ())]
    return DatabaseError("; ".join(said if advice is None else [*said, advice]))


def _kind(error: sqlite3.Error) -> int | None:
    # Errors that come from the driver's own code have no number.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    # The low byte is the kind of error, the other bytes are its variety.
    return None if code is None else code & 0xFF
