"""The files of an open database, and whether they are still where they were opened."""

import logging
import os
import time
from threading import Lock
from typing import TypeAlias

from runtara_domain.error import DatabaseError

_COARSE = 20_000_000
"""Nanoseconds in which a folder may change twice and bear the same time."""

_Folder: TypeAlias = tuple[int, int, int]

_log = logging.getLogger(__name__)


class Files:
    """
    Knows the files that the connections of a database have open, and finds out if one has gone.

    SQLite goes on with a file that was deleted, renamed or replaced, and succeeds: what it stores
    there is lost when the last connection closes. Made once the connections are open; may be asked
    in any thread.
    """

    def __init__(self, path: str) -> None:
        # As SQLite names them: beside the file itself, wherever a link to it may lie.
        real = os.path.realpath(path)
        self.log_path = f"{real}-wal"
        paths = (os.path.abspath(path), self.log_path, f"{real}-shm")
        self._opened = [(each, _identity(os.stat(each))) for each in paths]
        self._folders = list(dict.fromkeys(os.path.dirname(each) for each in paths))
        self._settled: list[_Folder] | None = None
        self._lost = ""
        self._lock = Lock()

    @property
    def is_lost(self) -> bool:
        """Tell whether a file had gone when last checked."""
        return bool(self._lost)

    def check(self) -> None:
        """Raise DatabaseError, and log it when that is new, if a file isn't the one opened."""
        lost = self._find_lost()
        if lost != self._lost:
            self._tell(lost)
        if lost:
            raise DatabaseError(lost)

    def _find_lost(self) -> str:
        # One call where there were three, for each commit: no file comes, goes or is renamed
        # without a change of its folder.
        try:
            folders = [_folder(os.stat(each)) for each in self._folders]
        except OSError as error:
            return f"the folder of {self._opened[0][0]} was deleted or renamed: {error.strerror}"
        if folders == self._settled:
            return ""
        lost = self._look_at_each()
        # Its time is coarse: what comes just after this look may not change it.
        is_settled = all(time.time_ns() - changed > _COARSE for _, _, changed in folders)
        self._settled = folders if is_settled and not lost else None
        return lost

    def _look_at_each(self) -> str:
        for path, opened in self._opened:
            try:
                found = os.stat(path)
            except OSError as error:
                return f"{path} was deleted or renamed: {error.strerror}"
            if _identity(found) != opened:
                return f"{path} was replaced by another file"
        return ""

    def _tell(self, lost: str) -> None:
        with self._lock:
            if lost == self._lost:
                return
            self._lost = lost
        if lost:
            _log.error(
                "the database has gone: nothing is stored or read until its files are back",
                extra={"reason": lost, "still_open_as": f"/proc/{os.getpid()}/fd"},
            )
        else:
            _log.info("the files of the database are back")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _folder(found: os.stat_result) -> _Folder:
    return found.st_dev, found.st_ino, found.st_ctime_ns
