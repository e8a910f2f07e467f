"""Interrupts: Ctrl-C and SIGTERM end a run's process, and none of the user's clean-up runs."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

SAID = "interrupted: run the instance again, and it goes on"


class Interrupts:
    """
    Heeds SIGINT and SIGTERM from now on.

    The first cancels the task that was given, so that connections are closed; before there is one,
    and from the second signal on, the process ends at once, with `code`. Python's KeyboardInterrupt
    would be thrown in user code, and run the clean-up there with what is durable in it.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self._task: asyncio.Task[object] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heed)

    def cancel(self, task: "asyncio.Task[object] | None") -> None:
        """Let the next signal cancel a task of the running loop."""
        self._task = task

    def _heed(self, number: int, frame: FrameType | None) -> None:
        task, self._task = self._task, None
        if task is None:
            self._end()
        else:
            task.cancel()
            # The loop may sleep, and a handler of signals doesn't wake it.
            task.get_loop().call_soon_threadsafe(lambda: None)

    def _end(self) -> None:
        with suppress(OSError):
            os.write(2, f"{SAID}\n".encode())
        # What was interrupted may be in the midst of a write.
        with suppress(OSError, RuntimeError, ValueError):
            sys.stdout.flush()
        os._exit(self._code)
