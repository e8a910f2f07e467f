"""Ticks of schedules, as the input of an instance that a schedule has started."""

import json
from dataclasses import dataclass
from datetime import datetime

_KEY = "~tick"
_MARK = f'{{"{_KEY}":'.encode()


@dataclass(frozen=True, slots=True)
class Tick:
    """
    The input that a schedule gives a workflow: the schedule's name, and the tick's time in UTC.

    If an operator triggered the instance by hand, the time is the minute in which that was done.
    """

    schedule: str
    at: datetime


def tick_of(text: bytes) -> Tick | None:
    """Read a schedule's input; None if the text is any other input."""
    if not text.startswith(_MARK):
        return None
    try:
        found = json.loads(text)[_KEY]
        return Tick(found["schedule"], datetime.fromisoformat(found["at"]))
    except (ValueError, KeyError, TypeError):
        return None
