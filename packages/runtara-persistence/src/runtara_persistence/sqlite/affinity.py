"""CPU affinity: a connection's thread runs where the event loop runs."""

import ctypes
import os
import threading
from collections.abc import Callable


class Affinity:
    """
    Keeps a thread on the CPU that another one, which is left free, was seen on last.

    The two take turns with the interpreter's lock. On one CPU that is a switch of threads; across
    two it is a wait for the other one to wake up, with what both use fetched from its cache.
    """

    def __init__(self) -> None:
        self._thread: int | None = None
        self._cpu: int | None = None

    def adopt(self) -> None:
        """Keep the calling thread, from the next `follow` on."""
        self._thread = threading.get_native_id()

    def follow(self) -> None:
        """
        Let it run on the CPU that the calling thread runs on now.

        Of no effect where the system knows no affinity, or refuses this one: nothing but speed
        depends on it.
        """
        if _current_cpu is None or self._thread is None:
            return
        cpu = _current_cpu()
        if cpu == self._cpu:
            return
        self._cpu = cpu
        try:
            os.sched_setaffinity(self._thread, {cpu})
        except OSError:
            # The CPU was just taken from this process, or a sandbox allows no such call.
            return


def _cpu_of_caller() -> Callable[[], int] | None:
    """The system's `sched_getcpu`, which Python does not offer; None where there is none."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    found: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return found


_current_cpu = _cpu_of_caller()
