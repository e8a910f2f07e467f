"""The files of an open database, and whether they are still where they were opened."""

import logging
import os
from threading import Lock

from runtara_domain.error import DatabaseError

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
        self._lost = ""
        self._lock = Lock()

    def check(self) -> None:
        """Raise DatabaseError, and log it when that is new, if a file isn't the one opened."""
        lost = self._find_lost()
        if lost != self._lost:
            self._tell(lost)
        if lost:
            raise DatabaseError(lost)

    def _find_lost(self) -> str:
        for path, opened in self._opened:
            try:
                found = os.stat(path)
            except OSError as error:
                return f"{path} was deleted or renamed, or its folder: {error.strerror}"
            # A file that is mounted by itself keeps its name when it is deleted.
            if not found.st_nlink:
                return f"{path} was deleted"
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
