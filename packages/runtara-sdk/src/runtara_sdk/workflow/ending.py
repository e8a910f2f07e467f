"""How a run can end."""

import asyncio
import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """
    What became of an instance in this run.

    SUSPENDED: another run goes on with it. RESTARTED: another instance does.
    """

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The end of a run.

    The output is JSON if it is DONE, what went wrong is told if it FAILED, and `successor` is the
    instance that goes on if it was RESTARTED.
    """

    outcome: Outcome
    output: bytes = b""
    error: str = ""
    successor: str = ""


def leave_parked(tasks: "Iterable[asyncio.Task[object]]") -> None:
    """
    Let tasks stay where they are for the rest of the process: nothing of theirs is unwound.

    Neither the end of their loop nor that of the interpreter may throw at them.
    """
    for task in tasks:
        if not task.done():
            # Documented for makers of tasks: asyncio.run cancels what it finds registered.
            asyncio._unregister_task(task)
            # A frame that is freed is unwound first; one that is always referred to never is.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
