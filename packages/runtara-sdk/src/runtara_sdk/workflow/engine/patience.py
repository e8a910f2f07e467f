"""How long a run waits: for the core, and for what may come soon."""

from dataclasses import dataclass
from datetime import timedelta

BUDGET = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Patience:
    """
    `budget`: how long the core may be out of reach.

    Waits shorter than `hold` keep the process; when it was released, a wait for somebody is looked
    at every `look`, in case the value comes on a way that makes nobody due.
    """

    budget: timedelta = BUDGET
    hold: timedelta = timedelta(seconds=60)
    look: timedelta = timedelta(days=1)
