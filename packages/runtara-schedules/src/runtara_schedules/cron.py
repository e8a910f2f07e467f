"""Cron expressions, in local time without changes of the clocks."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from cronsim import CronSim, CronSimError

from runtara_domain.error import InvalidValue

_FIELDS = 5
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
_TAKES = (
    "cron: takes five fields (minute, hour, day of month, month, day of week) such as"
    ' "30 2 * * MON-FRI", or one of ' + ", ".join(_WORDS)
)
_ANY_DAY = datetime(2000, 1, 1)


class Cron:
    """A cron expression; raises InvalidValue for a text that is none, or never matches."""

    def __init__(self, text: str) -> None:
        self._text = _WORDS.get(text.strip().lower(), text)
        fields = self._text.split()
        if len(fields) != _FIELDS:
            raise InvalidValue(f"{_TAKES}; got {text!r}")
        self.goes_by_elapsed_time = any(field.startswith("*") for field in fields[:2])
        """Whether minute or hour begin with a star: Debian's cron then counts elapsed time."""
        try:
            found = self.after(_ANY_DAY)
        except CronSimError as error:
            raise InvalidValue(f"{_TAKES}; got {text!r} ({error})") from error
        if found is None:
            raise InvalidValue(
                f"cron: takes an expression that ticks within 50 years, got {text!r}, which never"
                " does"
            )

    def after(self, wall: datetime) -> datetime | None:
        """Return the first match after a time without a zone; None if there is none in 50 years."""
        return next(CronSim(self._text, wall), None)
