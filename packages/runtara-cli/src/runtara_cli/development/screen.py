"""Writes lines to a terminal that may stall, as after Ctrl-S."""

import os
import select
import signal
from collections import deque
from collections.abc import Sequence
from threading import Condition, Thread

_MOST = 1000
"""The most lines that wait to be written; older ones are dropped."""


class Screen:
    """
    Writes lines in a thread, and below them lines that are drawn again and again.

    No caller waits for the terminal. is_terminal: False: no lines are drawn.
    """

    def __init__(self, descriptor: int, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._descriptor = descriptor
        self._said = deque[str](maxlen=_MOST)
        self._lines: Sequence[str] = ()
        self._has_changed = self._is_ending = False
        self._error: OSError | None = None
        self._changed = Condition()
        # A daemon thread: a stalled terminal must not keep the process from ending.
        self._thread = Thread(target=self._work, name="screen", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Write a line above the drawn ones; raises OSError if the terminal is gone."""
        with self._changed:
            self._said.append(text)
            self._tell()

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the drawn lines by these; raises OSError if the terminal is gone."""
        if not self.is_terminal:
            return
        with self._changed:
            self._lines = lines
            self._tell()

    def close(self, seconds: float) -> None:
        """Write the waiting text, as far as the terminal accepts it within this time."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(seconds)

    def _tell(self) -> None:
        if self._error is not None:
            raise self._error
        self._has_changed = True
        self._changed.notify()

    def _work(self) -> None:
        # Signals are for the main thread.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        drawn = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_changed or self._is_ending)
                if not self._has_changed:
                    return
                said, lines, self._has_changed = [*self._said], self._lines, False
                self._said.clear()
            erased = f"\x1b[{drawn}A\x1b[J" if drawn else ""
            drawn = len(lines)
            try:
                self._write(erased + "".join(f"{line}\n" for line in (*said, *lines)))
            except OSError as error:
                with self._changed:
                    self._error = error
                return

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode(errors="replace"))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Another process that shares the descriptor has made it non-blocking.
                select.select([], [self._descriptor], [])
