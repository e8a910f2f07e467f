"""When a step is tried again."""

import random
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.user_objects import asked, attribute, is_a, shown, text_of
from runtara_sdk.workflow.values.option_names import check_known

Kinds = type[Exception] | tuple[type[Exception], ...]
"""One class of errors or several."""


def kinds(what: str, given: Kinds) -> tuple[type[Exception], ...]:
    """Check the error classes of an option; raises TypeError for any other object."""
    found = given if isinstance(given, tuple) else (given,)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(
                f"{what}= takes a class of errors or a tuple of them, got {kind!r}: to decide by"
                " more than the class, raise an error of your own in the step"
            )
    return found


@dataclass(frozen=True, slots=True)
class Retry:
    """
    Try again after errors of `on`, up to `attempts` in all, crashes or not.

    The waits begin with `wait` and double up to `cap`, less a random part of up to half; an error
    that says `retry_after`, or whose HTTP headers or response do, is waited for as long. No attempt
    begins later than `budget` after the first failure.
    """

    attempts: int = 3
    _: KW_ONLY
    on: Kinds = Exception
    wait: Duration = "1s"
    cap: Duration = "1m"
    budget: Duration | None = None

    def __new__(cls, *given: object, **options: object) -> Self:
        check_known("Retry", options, [field.name for field in fields(cls)])
        return object.__new__(cls)

    def __post_init__(self) -> None:
        # A bool is an int, and an endless float is none.
        if type(self.attempts) is not int:
            raise TypeError(
                f"attempts= takes a whole number of at least 1, got {shown(self.attempts)}: to try"
                ' until it succeeds, give a large one, and budget="1d" or so to bound the time'
            )
        if self.attempts < 1:
            raise ValueError(
                f"attempts= takes a number of at least 1, got {self.attempts}: the first attempt"
                " counts, so 1 is no retry"
            )
        kinds("on", self.on)
        if self.budget is not None:
            duration("budget=", self.budget)
        if duration("wait=", self.wait) > duration("cap=", self.cap):
            raise ValueError(
                f"wait={self.wait!r} is longer than cap={self.cap!r}, which bounds every wait: give"
                " a longer cap"
            )

    def takes(self, error: Exception) -> bool:
        """Return whether an error is one to try again after."""
        return is_a(error, *kinds("on", self.on))

    def next_attempt(
        self, number: int, error: Exception, since: datetime, now: datetime
    ) -> datetime | None:
        """When the attempt after this one, the `number`th, begins; None: there is none."""
        if number >= self.attempts:
            return None
        at = now + max(self._backoff(number), retry_after(error, now))
        late = self.budget is not None and at > since + duration("budget=", self.budget)
        return None if late else at

    def _backoff(self, number: int) -> timedelta:
        cap = duration("cap=", self.cap).total_seconds()
        bound = min(cap, duration("wait=", self.wait).total_seconds() * 2.0 ** min(number - 1, 60))
        # Not a secret: it only spreads the load.
        return timedelta(seconds=bound * random.uniform(0.5, 1.0))


NEVER = Retry(attempts=1)


_BELIEVED = timedelta(days=366)
"""The longest delay for which an error may ask; longer ones are ignored as mistakes."""

_EPOCH = 1e9
"""Seconds: a number from here on (2001, or 31 years) is a moment since 1970 and no length."""


def retry_after(error: Exception, now: datetime) -> timedelta:
    """
    Return the delay that an error asks for; zero if it asks for none, or for an impossible one.

    The error asks by an attribute `retry_after`, or by the header Retry-After of the error or of
    its `response`: a number of seconds, a datetime, an HTTP date, or seconds or milliseconds since
    1970.
    """
    for said in (
        attribute(error, "retry_after"),
        _header(attribute(error, "response")),
        _header(error),
    ):
        length = None if said is None else asked(partial(_length, said, now), None)
        if length is not None and length <= _BELIEVED:
            return max(length, timedelta(0))
    return timedelta(0)


def _header(holder: object) -> object:
    """Return the Retry-After of an error's headers; urllib's and aiohttp's errors have headers."""
    return asked(lambda: _found(attribute(holder, "headers")), None)


def _found(headers: Any) -> object:
    items = () if headers is None else headers.items()
    return next((value for name, value in items if _name(name) == "retry-after"), None)


def _name(header: object) -> str:
    return (header.decode("latin-1") if isinstance(header, bytes) else text_of(header)).lower()


def _length(said: Any, now: datetime) -> timedelta:
    """Read a requested delay; raises an error if it can't be read."""
    if isinstance(said, timedelta):
        return said
    if isinstance(said, datetime):
        return _aware(said) - now
    try:
        number = float(said)
    except (TypeError, ValueError):
        text = said.decode() if isinstance(said, bytes) else text_of(said)
        return _aware(_date(text)) - now
    if number < _EPOCH:
        return timedelta(seconds=number)
    since_1970 = number if number < _EPOCH * 1000 else number / 1000
    return datetime.fromtimestamp(since_1970, UTC) - now


def _date(text: str) -> datetime:
    """As HTTP writes dates, or ISO 8601."""
    from email.utils import parsedate_to_datetime  # Only now: its import is slow.

    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _aware(date: datetime) -> datetime:
    """Where "-0000" for a zone leaves it out, GMT is meant."""
    return date if date.tzinfo else date.replace(tzinfo=UTC)
