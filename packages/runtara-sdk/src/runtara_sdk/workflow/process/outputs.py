"""Standard output and error of a run's process: their failures do not harm the run."""

import io
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def keep_open() -> None:
    """
    Let writing to standard output and error never fail, from now on.

    Text that can't be written is dropped: the reader has gone, or a disk is full. Otherwise a
    `print` in a workflow would fail the instance. Closed descriptors are opened on the null device,
    so that no connection and no file of the user's gets their numbers.
    """
    for number in (_INPUT, _OUTPUT, _ERROR):
        _open_if_closed(number)
    sys.stdout = _kept(sys.stdout, _OUTPUT)
    sys.stderr = _kept(sys.stderr, _ERROR)


def write(stream: TextIO | None, text: bytes = b"") -> None:
    """Append to a stream; a failure to write is no error."""
    if stream is None:  # None where the descriptor was closed.
        return
    # It may be an object of the user's, whose methods may raise anything.
    with suppress(Exception):
        stream.flush()
        stream.buffer.write(text)
        stream.flush()


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _kept(stream: TextIO | None, number: int) -> Any:
    """Return a stream like this one, or a new one, whose file never fails to write."""
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(_Forgiving(number, "w", closefd=False)))
    if type(stream) is not io.TextIOWrapper or stream.fileno() != number:
        return stream
    stream.flush()
    raw = _Forgiving(number, "w", closefd=False)
    return io.TextIOWrapper(
        # As in Python: without a buffer if PYTHONUNBUFFERED is set.
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        # A file is not flushed by a process that is killed, and is read while the process runs.
        line_buffering=True,
        write_through=stream.write_through,
    )


class _Forgiving(io.FileIO):
    """A file that drops text that it can't write."""

    def write(self, text: Any) -> int:
        with memoryview(text).cast("B") as rest:
            return self._write_all(rest)

    def _write_all(self, text: memoryview) -> int:
        at = 0
        with suppress(OSError):
            while at < len(text):
                written = super().write(text[at:])
                if written is None:  # A pipe that another program has made non-blocking.
                    select.select([], [self], [])
                at += written or 0
        return len(text)
