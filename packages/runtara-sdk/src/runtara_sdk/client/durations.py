"""Durations as callers give them: checked, and exact to the microsecond."""

from datetime import timedelta

from runtara_sdk.errors import ValidationFailed

# The longest sleep that the core takes.
_LONGEST = timedelta(days=36_525)


def duration(field: str, value: timedelta | float) -> timedelta:
    """
    Take a timedelta, or seconds as a number; more than 100 years count as 100.

    Raises ValidationFailed, which names the field, for a negative value and for what is no number.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # In this form the comparison refuses NaN, too.
    if not seconds >= 0:
        raise ValidationFailed(f"{field}: takes a timedelta or seconds, at least 0, got {value!r}")
    if seconds >= _LONGEST.total_seconds():
        return _LONGEST
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
