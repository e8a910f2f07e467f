"""How a run can end."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
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
class Awaited:
    """
    What a suspended instance waits for.

    `kind` is "signal", whose value is to be sent to `name`, "child", the instance `name` that is to
    end, "sleep", or "retry", which makes another attempt at a step; `since` is when it began, and
    `until` when the wait ends by itself, None: never. `reason` is why a step is tried again.
    """

    kind: str
    name: str
    until: datetime | None = None
    since: datetime | None = field(default=None, compare=False)
    reason: str = field(default="", compare=False)


def waits(awaits: Iterable[Awaited], longest: int = 60 * 1024) -> str:
    """Write what is awaited as the core keeps it, as much as `longest` characters hold."""
    shown: list[str] = []
    for one in awaits:
        fields = {
            "kind": one.kind,
            "name": one.name,
            "since": None if one.since is None else one.since.isoformat(),
            "until": None if one.until is None else one.until.isoformat(),
        }
        text = json.dumps(fields | {"reason": one.reason} if one.reason else fields)
        longest -= len(text) + 2
        if longest < 0:
            break
        shown.append(text)
    return f"[{', '.join(shown)}]"


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The end of a run.

    The output is JSON if it is DONE; if it FAILED `error` is what went wrong, for people, and
    `failure` for programs, empty where none was kept. `successor` is the instance that goes on if
    it was RESTARTED. One that is SUSPENDED is due at `until`, or as
    soon as a signal or a value is sent; None: it is paused. `awaits` is what it waits for then,
    which may have later deadlines: values are re-checked before those.
    """

    outcome: Outcome
    output: bytes = b""
    error: str = ""
    successor: str = ""
    failure: bytes = field(default=b"", compare=False)
    until: datetime | None = field(default=None, compare=False)
    awaits: tuple[Awaited, ...] = field(default=(), compare=False)


_NUMBERED = re.compile(r"(?P<name>.*)~(?P<number>[1-9][0-9]*)", re.DOTALL)


def restarted(instance_id: str) -> Ended:
    """Give the end of an instance that goes on as the next one; its output names that."""
    successor = successor_of(instance_id)
    output = json.dumps({"restarted_as": successor}, ensure_ascii=False).encode()
    return Ended(Outcome.RESTARTED, output=output, successor=successor)


def successor_in(instance_id: str, output: bytes) -> str | None:
    """The instance that goes on after a completed one, by its output; None: none does."""
    gone_on = restarted(instance_id)
    return gone_on.successor if output == gone_on.output else None


def successor_of(instance_id: str) -> str:
    """Name the instance that goes on after one."""
    found = _NUMBERED.fullmatch(instance_id)
    name, number = (instance_id, 1) if found is None else (found["name"], int(found["number"]))
    return f"{name}~{number + 1}"
