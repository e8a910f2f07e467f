"""Standard output and error of a run's process: what becomes of them does no harm to the run."""

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

    Text that can't be written is dropped: its reader has gone, or a disk is full. A `print` in a
    workflow would fail the instance otherwise. Descriptors that are closed are opened on the null
    device, so that no connection and no file of the user's gets the number that others write to.
    """
    for number in (_INPUT, _OUTPUT, _ERROR):
        _open_if_closed(number)
    sys.stdout = _kept(sys.stdout, _OUTPUT)
    sys.stderr = _kept(sys.stderr, _ERROR)


def write(stream: TextIO | None, text: bytes = b"") -> None:
    """Write behind what is there already; that it can't be written is no error."""
    if stream is None:  # As it is where the descriptor was closed.
        return
    # Perhaps one of the user's own, whose methods may raise anything.
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
    """Give a stream like this one, or where there is none, whose file takes all that is written."""
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(_Forgiving(number, "w", closefd=False)))
    if type(stream) is not io.TextIOWrapper or stream.fileno() != number:
        return stream
    stream.flush()
    raw = _Forgiving(number, "w", closefd=False)
    return io.TextIOWrapper(
        # As Python has it: without a buffer where PYTHONUNBUFFERED is set.
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Forgiving(io.FileIO):
    """A file that takes what it can't write."""

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
