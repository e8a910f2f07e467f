"""Durations as people write them."""

import math
import re
from datetime import datetime, timedelta

from runtara_sdk.workflow.user_objects import shown

Duration = str | float | timedelta
"""Text such as "30s", "1h30m" or "3d"; a number of seconds; or a timedelta."""

LONGEST = timedelta(days=36525)
"""A hundred years: longer durations count as this, as they do at the core."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def duration(what: str, value: Duration) -> timedelta:
    """
    Read an option's duration, of which `what` is the name; infinite is a hundred years.

    Raises TypeError for another type, ValueError for a text that is no duration, NaN, and a
    negative duration.
    """
    found = signed(what, value)
    if found < timedelta(0):
        raise ValueError(f"{what} takes a duration of at least 0, got {shown(value)}")
    return found


def signed(what: str, value: Duration) -> timedelta:
    """Read a duration that may be negative, such as the time until a past moment."""
    if isinstance(value, timedelta):
        return max(-LONGEST, min(value, LONGEST))
    if isinstance(value, str):
        return _in_seconds(what, value, _read(what, value))
    if isinstance(value, datetime):
        raise TypeError(
            f"{what} takes a duration, got the moment {shown(value)}: sleep_until(moment) sleeps"
            " until then"
        )
    try:
        seconds = float(value)
    except OverflowError:  # An int that no float holds.
        return LONGEST if value > 0 else -LONGEST
    except (TypeError, ValueError):
        raise TypeError(_takes(what, value)) from None
    return _in_seconds(what, value, seconds)


def is_infinite(value: object) -> bool:
    """Return whether a duration has no end."""
    return isinstance(value, float) and value == math.inf


def _in_seconds(what: str, value: Duration, seconds: float) -> timedelta:
    if math.isnan(seconds):
        raise ValueError(_takes(what, value))
    most = LONGEST.total_seconds()
    return timedelta(seconds=max(-most, min(seconds, most)))


def _read(what: str, value: str) -> float:
    text = value.replace(" ", "")
    if not _WHOLE.fullmatch(text):
        raise ValueError(_takes(what, value))
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _takes(what: str, value: object) -> str:
    return (
        f'{what} takes a duration: text such as "30s", "1h30m" or "3d" (ms, s, m, h, d, w), a'
        f" number of seconds or a timedelta; got {shown(value)}"
    )
