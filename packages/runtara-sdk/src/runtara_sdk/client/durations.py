"""How long, as a caller says it: checked, and exact to the microsecond."""

from datetime import timedelta

from runtara_sdk.errors import ValidationFailed

# What the core takes for the longest sleep there is.
_LONGEST = timedelta(days=36_525)


def duration(field: str, value: timedelta | float) -> timedelta:
    """
    Take a timedelta, or seconds as a number; more than 100 years count as 100.

    Raises ValidationFailed, naming the field, for less than nothing and for what is no number.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # Put this way round, it refuses NaN as well.
    if not seconds >= 0:
        raise ValidationFailed(f"{field}: takes a timedelta or seconds, at least 0, got {value!r}")
    if seconds >= _LONGEST.total_seconds():
        return _LONGEST
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
