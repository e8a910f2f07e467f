"""How a run can end."""

import asyncio
import ctypes
import json
import re
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


_NUMBERED = re.compile(r"(?P<name>.*)~(?P<number>[1-9][0-9]*)", re.DOTALL)


def restarted(instance_id: str) -> Ended:
    """Give the end of an instance that goes on as the next one; its output names that."""
    successor = successor_of(instance_id)
    output = json.dumps({"restarted_as": successor}, ensure_ascii=False).encode()
    return Ended(Outcome.RESTARTED, output=output, successor=successor)


def successor_of(instance_id: str) -> str:
    """Name the instance that goes on after one."""
    found = _NUMBERED.fullmatch(instance_id)
    name, number = (instance_id, 1) if found is None else (found["name"], int(found["number"]))
    return f"{name}~{number + 1}"


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
