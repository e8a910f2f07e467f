"""The back-off after launches without progress, and the limit of crashes."""

from datetime import timedelta

from runtara_domain.record import record


@record
class CrashPolicy:
    """
    Back-off and the cap on crashes.

    maximum: crashes in a row, without progress, after which the instance fails. The delay before
    the next launch is `first`, doubled for each launch in a row without progress, at most
    `longest`.
    """

    maximum: int = 5
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=60)

    def next_delay(self, last: timedelta | None) -> timedelta:
        """Return the delay that follows `last`; None: the previous launch made progress."""
        return self.first if last is None else min(last * 2, self.longest)

    def is_exceeded(self, crashes: int) -> bool:
        """Return whether an instance fails after this many crashes in a row."""
        return crashes >= self.maximum


def jittered(delay: timedelta, chance: float) -> timedelta:
    """Spread a delay over three to five quarters of it; `chance` is uniform in 0 to 1."""
    return delay * (0.75 + 0.5 * chance)
