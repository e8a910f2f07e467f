"""How a run can end."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """
    The outcome of a run.

    SUSPENDED: another run goes on. RESTARTED: another instance goes on.
    """

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Awaited:
    """
    A wait of a suspended instance.

    `kind` is "signal", for a value sent to `name`; "child", for the end of the instance `name`;
    "sleep"; or "retry", for the next attempt of a step. `since` is when the wait began. `until` is
    its deadline; None without one. `reason` is the error for which a step is tried again.
    """

    kind: str
    name: str
    until: datetime | None = None
    since: datetime | None = field(default=None, compare=False)
    reason: str = field(default="", compare=False)


def waits(awaits: Iterable[Awaited], longest: int = 60 * 1024) -> str:
    """Return the waits as the core keeps them, as many as fit into `longest` characters."""
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

    DONE has the output as JSON. FAILED has `error`, a text for people, and `failure` for programs,
    which is empty if none was kept. RESTARTED has `successor`, the instance that goes on. SUSPENDED
    is due at `until`, or as soon as a signal or a value is sent; None: it is paused. `awaits` are
    its waits. Their deadlines may be later than `until`, because values are rechecked before.
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
    """Return the end of an instance that continues as the next one, which its output names."""
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
