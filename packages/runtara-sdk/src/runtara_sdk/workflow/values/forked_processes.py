"""Forked processes: copies of a run's process, which must not go on with the run."""

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self


class EndsForks:
    """
    `with EndsForks():` ends a process that was forked in the block, at the end of the block.

    The process ends as a program would: with 0, with the code of its SystemExit, or with 1 and the
    traceback. Without this it would go on as a second copy of the run, on the same connection.
    """

    def __enter__(self) -> Self:
        self._process = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_forked():
            _end(error)

    def is_forked(self) -> bool:
        """Return whether this is a process that was forked in the block."""
        return os.getpid() != self._process


def _end(error: BaseException | None) -> NoReturn:
    code = 1
    # Another thread may have held a lock of the output streams when the process was forked.
    with suppress(Exception):
        code = _exit_code(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    """Print an error as Python does when it ends a program, and return the exit code."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1
