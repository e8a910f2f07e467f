"""Log lines that wait to be written: a thread writes them, and equal lines are counted."""

import logging
import os
import select
import signal
import time
from collections import deque
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TypeAlias

MOST_BYTES = 1 << 20
"""The most bytes of waiting lines; further lines are dropped and counted."""

SPAN = 10.0
"""Seconds after a line in which an equal line is counted instead of written."""

_SHORTAGE = 0.05
"""Seconds to wait after a MemoryError before trying again."""

_KINDS = 256
"""The most different lines that are remembered, to recognize equal ones."""

# The attributes that every record has; the others are the fields that its caller gave as `extra`.
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_Key: TypeAlias = tuple[object, ...]


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields that the caller gave to a record as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


@dataclass(slots=True)
class _Said:
    """A written line, the end of its span, and the number of equal lines in it."""

    until: float
    line: logging.LogRecord
    repeated: int = 0


class LogQueue(logging.Handler):
    """
    Writes to a file descriptor in a thread, so that a stalled reader delays no caller.

    Lines that equal a line of the last `SPAN` seconds are counted. At the end of the span the line
    is written once more, with the count as `repeated`. If the reader stalls, lines are dropped;
    their number is written when the reader goes on.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._dropped = 0
        self._said: dict[_Key, _Said] = {}
        self._is_ending = False
        self._changed = Condition()
        # A daemon thread, so that the process can end though its log is never read.
        self._thread = Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue, count or drop the record, without waiting."""
        with self._changed:
            try:
                if not self._is_repeated(record):
                    self._queue(self.format(record))
            except Exception as error:
                # The caller can't do anything about this error.
                self._queue(f"log line can't be formatted: logger={record.name} error={error!r}")

    def say(self, line: str) -> None:
        """Queue a line without formatting it."""
        with self._changed:
            self._queue(line)

    def drain(self, seconds: float) -> None:
        """Write the waiting lines, for at most this time; later lines are not written."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(seconds)

    # The methods from here on need the lock.

    def _queue(self, line: str) -> None:
        data = f"{line}\n".encode(errors="backslashreplace")
        if self._waiting + len(data) > MOST_BYTES:
            self._dropped += 1
            return
        self._waiting += len(data)
        self._lines.append(data)
        self._changed.notify()

    def _is_repeated(self, record: logging.LogRecord) -> bool:
        key = _key(record)
        said = self._said.get(key)
        if said is not None and time.monotonic() < said.until:
            said.repeated += 1
            # Wakes the thread, which then waits only until the end of the span.
            self._changed.notify()
            return True
        if said is not None or len(self._said) >= _KINDS:
            self._forget(key if said is not None else next(iter(self._said)))
        self._said[key] = _Said(time.monotonic() + SPAN, _bare(record))
        return False

    def _forget(self, key: _Key) -> None:
        said = self._said.pop(key)
        if said.repeated:
            vars(said.line).update(created=time.time(), repeated=said.repeated)
            self._queue(self.format(said.line))

    def _forget_those_over(self) -> float | None:
        """Forget lines whose span is over; return the seconds until the next count is due."""
        now = time.monotonic()
        for key in [key for key, said in self._said.items() if said.until <= now]:
            self._forget(key)
        return min(
            (said.until - now for said in self._said.values() if said.repeated), default=None
        )

    def _take(self) -> bytes:
        """Wait for lines and return their bytes; b"" at the end."""
        while True:
            pause = self._forget_those_over()
            if self._is_ending:
                for key in list(self._said):
                    self._forget(key)
            if self._lines:
                break
            if self._is_ending:
                return b""
            self._changed.wait(pause)
        data = b"".join(self._lines)
        self._lines.clear()
        self._waiting = 0
        if self._dropped:
            self._queue(self.format(_about_dropped(self._dropped)))
            self._dropped = 0
        return data

    # The methods from here on run in the thread.

    def _work(self) -> None:
        # Signals belong to the main thread, which blocks them when its loop ends. If this thread
        # could then receive a signal, it would kill the process, because no handler is left.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        while True:
            try:
                with self._changed:
                    data = self._take()
                if not data:
                    return
                self._write(data)
            except MemoryError:
                # The lines stay queued until there is memory.
                time.sleep(_SHORTAGE)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Another process that shares the descriptor has made it non-blocking.
                select.select([], [self._descriptor], [])
            except OSError:
                # The log can't be written, so the error can't be logged either.
                return


def _key(record: logging.LogRecord) -> _Key:
    """Return the key of a line: lines with the same key differ only in their time."""
    failure = record.exc_info[1] if record.exc_info else None
    where = failure.__traceback__ if failure is not None else None
    return (
        *(record.name, record.levelno, record.getMessage(), str(fields(record))),
        *(type(failure), str(failure), where and where.tb_lineno),
    )


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy without the traceback, which would keep its frames' objects alive."""
    told = {"name": record.name, "levelno": record.levelno, "levelname": record.levelname}
    return logging.makeLogRecord(fields(record) | told | {"msg": record.getMessage()})


def _about_dropped(count: int) -> logging.LogRecord:
    told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    message = "log lines dropped: the reader of the log is too slow"
    return logging.makeLogRecord(told | {"msg": message, "dropped": count})
