"""Ticks of schedules, as the input of an instance that one has started."""

import json
from dataclasses import dataclass
from datetime import datetime

_KEY = "~tick"
_MARK = f'{{"{_KEY}":'.encode()


@dataclass(frozen=True, slots=True)
class Tick:
    """
    What a schedule gives the workflow that it starts: its name, and the time of the tick in UTC.

    An instance that was triggered by hand has the minute in which it was.
    """

    schedule: str
    at: datetime


def tick_of(text: bytes) -> Tick | None:
    """Read the input that a schedule gives; None if it is any other one."""
    if not text.startswith(_MARK):
        return None
    try:
        found = json.loads(text)[_KEY]
        return Tick(found["schedule"], datetime.fromisoformat(found["at"]))
    except (ValueError, KeyError, TypeError):
        return None
