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
    Handles SIGINT and SIGTERM from now on.

    The first SIGINT cancels the given task, so that connections are closed; the first SIGTERM lets
    its run leave the process. Without a task, and from the second signal on, the process ends at
    once, with `code`. Python's KeyboardInterrupt would be raised in user code, whose clean-up could
    then make durable calls.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self._acts: Mapping[int, Callable[[], object]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._said = f"{INTERRUPTED}\n"
        for number in _USUAL:
            signal.signal(number, self._heed)
        if sys.platform != "win32":
            # A signal that comes during a fork waits until the child has the default handlers.
            os.register_at_fork(
                before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, _USUAL),
                after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _USUAL),
                after_in_child=self._leave,
            )

    def act(self, cancel: Callable[[], object], leave: Callable[[], object]) -> None:
        """Let the next signal call one of these in the running loop: `leave` is for SIGTERM."""
        self._loop = asyncio.get_running_loop()
        self._acts = {signal.SIGINT: cancel, signal.SIGTERM: leave}

    def end_with(self, code: int) -> None:
        """Let the next signal end the process with this code: the run is over, and reported."""
        self._code, self._loop, self._said = code, None, ""

    def _leave(self) -> None:
        """Restore the default handlers in a process that the user's code forked."""
        for number, usual in _USUAL.items():
            if signal.getsignal(number) == self._heed:
                signal.signal(number, usual)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _USUAL)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        loop, self._loop = self._loop, None
        if loop is None:
            self._end()
        else:
            # The loop may sleep, and a handler of signals doesn't wake it.
            loop.call_soon_threadsafe(self._acts[number])

    def _end(self) -> None:
        with suppress(OSError):
            os.write(2, self._said.encode())
        # The interrupted code may be in the middle of a write.
        with suppress(OSError, RuntimeError, ValueError):
            sys.stdout.flush()
        os._exit(self._code)
