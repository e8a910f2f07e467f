"""Interrupts: Ctrl-C and SIGTERM end a run's process, and none of the user's clean-up runs."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import FrameType, MappingProxyType

_USUAL: Mapping[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = (
    MappingProxyType({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL})
)

INTERRUPTED = "interrupted: run the instance again, and it goes on"


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
        self._said = f"{INTERRUPTED}\n"
        for number in _USUAL:
            signal.signal(number, self._heed)
        if sys.platform != "win32":
            # What comes while a process is forked waits until it ends that, as it would elsewhere.
            os.register_at_fork(
                before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, _USUAL),
                after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _USUAL),
                after_in_child=self._leave,
            )

    def cancel(self, task: "asyncio.Task[object] | None") -> None:
        """Let the next signal cancel a task of the running loop."""
        self._task = task

    def end_with(self, code: int) -> None:
        """Let the next signal end the process with this code: the run is over, and has said so."""
        self._code, self._task, self._said = code, None, ""

    def _leave(self) -> None:
        """Let a forked process of the user's end as it would elsewhere."""
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == self._heed:
                signal.signal(number, usual)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _USUAL)

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
            os.write(2, self._said.encode())
        # What was interrupted may be in the midst of a write.
        with suppress(OSError, RuntimeError, ValueError):
            sys.stdout.flush()
        os._exit(self._code)
