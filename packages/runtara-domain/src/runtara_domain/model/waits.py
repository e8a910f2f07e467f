"""What instances wait for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from runtara_domain import values
from runtara_domain.record import record

LONGEST_LINE = 1000
"""The most instances ahead in a queue that are counted."""
_DECISION = re.compile(r"!decision#[0-9.]+\Z")
"""The suffix of a custom signal by which an operator decides whether an effect has happened."""


@record
class Awaited:
    """
    One wait of an instance.

    kind: `promise`, `child`, `decision` (whether an effect has happened), `sleep`, `retry` or
    `queue` (for a slot in it). until: the wait's deadline, or when the queue's rate allows the next
    start; None if there is none, or it is unknown. reason: for `retry`, the last attempt's error;
    for `queue`, the bound that is reached, and the instance's place in the line.
    """

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""

    def in_line(self, ahead: int) -> Awaited:
        """Add the place in the line. ahead: the number of earlier ones, up to LONGEST_LINE."""
        number = f"number {ahead + 1}" if ahead < LONGEST_LINE else f"behind {LONGEST_LINE} or more"
        return replace(self, reason=f"{self.reason}, and it is {number} in line")


def awaited(text: str | None) -> tuple[Awaited, ...]:
    """Read the waits that an instance reported; empty if another program's SDK wrote them."""
    try:
        return tuple(_awaited(one) for one in json.loads(text or "[]"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return ()


def _awaited(one: Mapping[str, Any]) -> Awaited:
    kind, name = one["kind"], one["name"]
    if kind == "signal":
        kind = "decision" if _DECISION.search(name) else "promise"
        if name.startswith(values.CHILD_ENDED):
            kind, name = "child", name.removeprefix(values.CHILD_ENDED)
    since, until = _moment(one.get("since")), _moment(one.get("until"))
    return Awaited(kind, name, since, until, str(one.get("reason") or ""))


def _moment(text: str | None) -> datetime | None:
    # A time without a zone is refused: astimezone would read it as local time.
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment
