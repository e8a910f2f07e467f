"""CPU affinity: a connection's thread runs where the event loop runs."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")
_UNKNOWN = -1


class Affinity:
    """
    Keeps a thread on the CPU that another one, which is left free, was seen on last.

    The two take turns with the interpreter's lock. On one CPU that is a switch of threads; across
    two it is a wait for the other one to wake up, with what both use fetched from its cache.

    Nothing but speed depends on it: it has no effect where the system knows no affinity or refuses
    this one, nor under a filter of system calls.
    """

    def __init__(self) -> None:
        self._current_cpu = _lookup()
        self._thread: int | None = None
        self._cpu: int | None = None

    def adopt(self) -> None:
        """Keep the calling thread, from the next `follow` on."""
        self._thread = threading.get_native_id()

    def follow(self) -> None:
        """Let it run on the CPU that the calling thread runs on now; raises nothing."""
        if self._current_cpu is None or self._thread is None:
            return
        cpu = self._current_cpu()
        if cpu in (self._cpu, _UNKNOWN):
            return
        self._cpu = cpu
        try:
            os.sched_setaffinity(self._thread, {cpu})
        except OSError:
            # The CPU was just taken from this process, or the system allows nobody to choose.
            return


def _lookup() -> Callable[[], int] | None:
    """The system's `sched_getcpu`, which Python does not offer; None: do without."""
    if not hasattr(os, "sched_setaffinity") or _is_filtered():
        return None
    try:
        # Not every Python has it.
        import ctypes

        # Not CDLL: it would let go of the lock for a call of nanoseconds, and wait to have it back.
        system = ctypes.PyDLL(None)
    except (ImportError, OSError):
        return None
    found: Callable[[], int] | None = getattr(system, "sched_getcpu", None)
    return found


def _is_filtered() -> bool:
    """Tell whether system calls are: one that is not allowed may end the process."""
    try:
        status = STATUS.read_text()
    except OSError:
        return True
    modes = [line.split()[1] for line in status.splitlines() if line.startswith("Seccomp:")]
    return modes not in ([], ["0"])
