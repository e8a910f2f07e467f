"""How long a run waits: for the core, and for what may come soon."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from time import monotonic

from runtara_sdk.backoff import delay


@dataclass(frozen=True, slots=True)
class Patience:
    """
    `budget`: how long the core may be out of reach.

    Waits shorter than `hold` keep the process; when it was released, a wait that nothing ends by
    itself is looked at every `look`.
    """

    budget: timedelta = timedelta(minutes=5)
    hold: timedelta = timedelta(seconds=60)
    look: timedelta = timedelta(minutes=15)

    def pauses(self) -> Iterator[float]:
        """The seconds to wait after each failure, until the budget is used up."""
        end = monotonic() + self.budget.total_seconds()
        for failures in count(1):
            if monotonic() >= end:
                return
            yield delay(failures)
