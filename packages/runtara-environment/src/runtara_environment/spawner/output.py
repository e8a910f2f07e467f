"""
The output of a launched process, kept in files of bounded size.

The process writes into a named pipe that it has open for reading, too. So it gets no SIGPIPE when
the spawner dies. If the pipe is full, it waits until the next spawner reads. A full disk stops the
log, but not the process.
"""

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PIPE_NAME = "output.pipe"
LOG_NAME = "stderr.log"
OLDER_LOG_NAME = "stderr.log.1"
LOST_NAME = "stderr.log.lost"
_PIECE = 64 * 1024


class OutputLog:
    """
    Copies one launch's pipe to its log.

    The log has two files of at most half of `max_bytes` each. When the newer file is full, it
    replaces the older file. `LOST_NAME` has the number of bytes that were removed so far.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._half = max(max_bytes // 2, 1)
        self._tail = b""
        self._lost = 0
        pipe = folder / PIPE_NAME
        if not pipe.exists():
            os.mkfifo(pipe, 0o600)
        self.reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._log = self._opened()
        self._size = 0 if self._log is None else os.fstat(self._log).st_size

    def open_writer(self) -> int:
        """Open the end of the pipe that the process gets; the caller closes this end."""
        return os.open(self.folder / PIPE_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def pump(self) -> bool:
        """Copy what the pipe has now; never waits. False: no process has the pipe open any more."""
        while True:
            try:
                data = os.read(self.reader, _PIECE)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._write(data)

    def close(self) -> None:
        """Copy the rest of the output, and remove the pipe. The log stays."""
        self.pump()
        os.close(self.reader)
        if self._log is not None:
            os.close(self._log)
        (self.folder / PIPE_NAME).unlink(missing_ok=True)
        if self._lost:
            logger.warning("%d bytes of output in %s were lost", self._lost, self.folder)

    def tail(self, size: int = 64 * 1024) -> bytes:
        """Return the last bytes that the process wrote, even if the disk was full."""
        return self._tail[-size:]

    def _opened(self) -> int | None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.folder / LOG_NAME, flags, 0o600)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return None

    def _write(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_PIECE:]
        while data:
            if self._size >= self._half:
                self._rotate()
            room = data[: self._half - self._size]
            written = self._append(room)
            self._lost += len(room) - written
            data = data[len(room) :]

    def _append(self, data: bytes) -> int:
        if self._log is None:
            self._log = self._opened()
        if self._log is None:
            return 0
        try:
            written = os.write(self._log, data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            return 0
        self._size += written
        return written

    def _rotate(self) -> None:
        if self._log is not None:
            os.close(self._log)
        self._count_lost()
        with suppress(FileNotFoundError):  # An operator may have deleted it.
            (self.folder / LOG_NAME).replace(self.folder / OLDER_LOG_NAME)
        self._log = self._opened()
        self._size = 0

    def _count_lost(self) -> None:
        """Count the older file's bytes as lost. On a full disk count and offsets are wrong."""
        older, file = self.folder / OLDER_LOG_NAME, self.folder / LOST_NAME
        with suppress(OSError):
            if older.exists():
                count = lost(self.folder) + older.lstat().st_size
                new = file.with_suffix(".new")
                new.write_text(str(count))
                new.replace(file)


def lost(folder: Path) -> int:
    """Return how many bytes of a launch's output are not in its log any more."""
    try:
        return int((folder / LOST_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return 0
