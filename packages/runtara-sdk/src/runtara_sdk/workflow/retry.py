"""When a step is tried again."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from runtara_sdk.workflow.duration import Duration, duration

Kinds = type[Exception] | tuple[type[Exception], ...]
"""One class of errors or several."""


def kinds(what: str, given: Kinds) -> tuple[type[Exception], ...]:
    """Check the classes of errors of an option; raises TypeError for what is none."""
    found = given if isinstance(given, tuple) else (given,)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(
                f"{what}= takes a class of errors or a tuple of them, got {kind!r}: where more than"
                " the class decides, raise one of your own in the step"
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    Try again after errors of `on`, up to `attempts` in all, crashes or not.

    The waits begin with `wait` and double up to `cap`, less a random part of up to half; an error
    that says `retry_after`, or whose HTTP headers or response do, is waited for as long. No attempt
    begins later than `budget` after the first failure.
    """

    attempts: int = 3
    on: Kinds = Exception
    wait: Duration = "1s"
    cap: Duration = "1m"
    budget: Duration | None = None

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is at least 1, got {self.attempts}")
        kinds("on", self.on)
        duration(self.budget or 0)
        if duration(self.wait) > duration(self.cap):
            raise ValueError(
                f"wait={self.wait!r} is longer than cap={self.cap!r}, which bounds every wait: give"
                " a longer cap"
            )

    def takes(self, error: Exception) -> bool:
        """Tell whether an error is one to try again after."""
        return isinstance(error, self.on)

    def next_attempt(
        self, number: int, error: Exception, since: datetime, now: datetime
    ) -> datetime | None:
        """When the attempt after this one, the `number`th, begins; None: there is none."""
        if number >= self.attempts:
            return None
        at = now + max(self._backoff(number), retry_after(error, now))
        late = self.budget is not None and at > since + duration(self.budget)
        return None if late else at

    def _backoff(self, number: int) -> timedelta:
        cap = duration(self.cap).total_seconds()
        bound = min(cap, duration(self.wait).total_seconds() * 2.0 ** min(number - 1, 60))
        # Not a secret: it only spreads the load.
        return timedelta(seconds=bound * random.uniform(0.5, 1.0))


NEVER = Retry(attempts=1)


def retry_after(error: Exception, now: datetime) -> timedelta:
    """How long the other side asked to be left alone, in seconds or until a date; zero if not."""
    said: Any = getattr(error, "retry_after", None)
    if said is None:
        said = _header(getattr(error, "response", None)) or _header(error)
    if isinstance(said, timedelta):
        return max(said, timedelta(0))
    try:
        return timedelta(seconds=max(float(said or 0), 0))
    except (TypeError, ValueError, OverflowError):
        return _until_date(said, now)


def _header(holder: object) -> object:
    """What its headers say, however they are written; urllib's and aiohttp's errors have some."""
    items = getattr(getattr(holder, "headers", None), "items", tuple)
    return next((value for name, value in items() if str(name).lower() == "retry-after"), None)


def _until_date(said: object, now: datetime) -> timedelta:
    """As HTTP writes dates; "-0000" for a zone leaves it out, and GMT is meant."""
    try:
        date = parsedate_to_datetime(str(said))
    except ValueError:
        return timedelta(0)
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))
