"""Durations as people write them."""

import re
from datetime import timedelta

Duration = str | float | timedelta
"""Text such as "30s", "1h30m" or "3d"; a number of seconds; or a timedelta."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def duration(value: Duration) -> timedelta:
    """Read one; raises ValueError for what is none, and for less than nothing."""
    if isinstance(value, timedelta):
        found = value
    elif isinstance(value, str):
        found = _read(value.replace(" ", ""))
    else:
        found = timedelta(seconds=value)
    if found < timedelta(0):
        raise ValueError(f"a duration is at least 0, got {value!r}")
    return found


def _read(text: str) -> timedelta:
    if not _WHOLE.fullmatch(text):
        raise ValueError(
            f'a duration is text such as "30s", "1h30m" or "3d" (ms, s, m, h, d, w), a number of'
            f" seconds or a timedelta, got {text!r}"
        )
    parts = _PART.findall(text)
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
