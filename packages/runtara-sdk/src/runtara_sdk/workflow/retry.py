"""When a step is tried again."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from runtara_sdk.workflow.duration import Duration, duration

Kinds = type[Exception] | tuple[type[Exception], ...]
"""One class of errors or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    Try again after errors of `on`, up to `attempts` in all, crashes or not.

    The waits begin with `wait` and double up to `cap`, less a random part of up to half; an error
    that says `retry_after`, or whose HTTP response does, is waited for as long. No attempt begins
    later than `budget` after the first failure.
    """

    attempts: int = 3
    on: Kinds = Exception
    wait: Duration = "1s"
    cap: Duration = "1m"
    budget: Duration | None = None

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is at least 1, got {self.attempts}")
        duration(self.wait), duration(self.cap), duration(self.budget or 0)

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
    said = getattr(error, "retry_after", None)
    if said is None:
        headers = getattr(getattr(error, "response", None), "headers", {})
        said = headers.get("retry-after")
    try:
        return timedelta(seconds=max(float(said or 0), 0))
    except (TypeError, ValueError, OverflowError):
        return _until_date(said, now)


def _until_date(said: object, now: datetime) -> timedelta:
    """As HTTP writes dates; "-0000" for a zone leaves it out, and GMT is meant."""
    try:
        date = parsedate_to_datetime(str(said))
    except ValueError:
        return timedelta(0)
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))
