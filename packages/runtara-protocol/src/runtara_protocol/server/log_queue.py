"""Lines on their way to the log: written by a thread, bounded, the same one counted."""

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
"""What may wait to be written; further lines are dropped, and counted."""

SPAN = 10.0
"""Seconds in which a line that is the same as one before is counted instead of written."""

_SHORTAGE = 0.05
"""Seconds to wait for memory that is short."""

_KINDS = 256
"""How many different lines are remembered for that at once."""

# What every record has; the rest are the fields its caller gave as `extra`.
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_Key: TypeAlias = tuple[object, ...]


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Give what its caller added to a line."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


@dataclass(slots=True)
class _Said:
    """A line that was written: when a new span begins, and what came in this one."""

    until: float
    line: logging.LogRecord
    repeated: int = 0


class LogQueue(logging.Handler):
    """
    Writes to a file descriptor in a thread, so that a stalled reader delays no caller.

    Lines that repeat one of the last seconds are counted. The line is written once more after these
    seconds, with the number as `repeated`. While the reader stalls, lines are dropped; their number
    is written when the reader goes on.
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
        # A daemon thread: the process can end though its log is never read.
        self._thread = Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue it, count it, or drop it; never wait."""
        with self._changed:
            try:
                if not self._is_repeated(record):
                    self._queue(self.format(record))
            except Exception as error:
                # The fault is not the caller's, or the caller can't mend it.
                self._queue(f"a line of {record.name} can't be formatted: {error!r}")

    def say(self, line: str) -> None:
        """Queue a line as it is."""
        with self._changed:
            self._queue(line)

    def drain(self, seconds: float) -> None:
        """Write what waits, as far as it is read within this time; nothing is written after it."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(seconds)

    # The lock is held.

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
            # The thread must wake up at the end of the span.
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
        """Give the seconds until the next span is over in which something came again."""
        now = time.monotonic()
        for key in [key for key, said in self._said.items() if said.until <= now]:
            self._forget(key)
        return min(
            (said.until - now for said in self._said.values() if said.repeated), default=None
        )

    def _take(self) -> bytes:
        """Give what is to be written now; nothing at the end."""
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

    # In the thread.

    def _work(self) -> None:
        # Signals are for the main thread, which blocks them as its loop ends. A signal to this
        # thread would then kill the process, because no handler is left.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        while True:
            try:
                with self._changed:
                    data = self._take()
                if not data:
                    return
                self._write(data)
            except MemoryError:
                # The lines wait until there is memory again.
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
                # There is nowhere to report that the log can't be written.
                return


def _key(record: logging.LogRecord) -> _Key:
    """Give what two lines have in common that differ in nothing but their time."""
    failure = record.exc_info[1] if record.exc_info else None
    where = failure.__traceback__ if failure is not None else None
    return (
        *(record.name, record.levelno, record.getMessage(), str(fields(record))),
        *(type(failure), str(failure), where and where.tb_lineno),
    )


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """Give a line again without its traceback, which would keep alive what it points to."""
    told = {"name": record.name, "levelno": record.levelno, "levelname": record.levelname}
    return logging.makeLogRecord(fields(record) | told | {"msg": record.getMessage()})


def _about_dropped(count: int) -> logging.LogRecord:
    told = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    message = "log lines were dropped: they were not read fast enough"
    return logging.makeLogRecord(told | {"msg": message, "dropped": count})
