"""How long a run waits: for the core, and for what may come soon."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TypeVar

from runtara_sdk.client.backoff import delay
from runtara_sdk.workflow.errors import Infrastructure, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Outage:
    """Told of now and then, however many wait for its end."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    def tell(self, error: Unavailable, left: float, every: float) -> None:
        """Log why the core is out of reach and how long it is tried, unless that was just done."""
        now = monotonic()
        if self._told_at is not None and now < self._told_at + every:
            return
        self._told_at = now
        logger.warning(
            "the core does not serve this run now: %s; it is asked for %s more (budget= of"
            " @workflow), then the run ends and can be run again",
            error,
            timedelta(seconds=round(left)),
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """
    `budget`: how long the core may be out of reach, which is told of every `tell`.

    Waits shorter than `hold` keep the process; when it was released, a wait for somebody is looked
    at every `look`, in case the value comes on a way that makes nobody due.
    """

    budget: timedelta = timedelta(minutes=5)
    hold: timedelta = timedelta(seconds=60)
    look: timedelta = timedelta(days=1)
    tell: timedelta = timedelta(seconds=30)
    _outage: _Outage = field(default_factory=_Outage, init=False, compare=False)

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the core until it answers; raises Infrastructure when the budget is used up."""
        end = monotonic() + self.budget.total_seconds()
        failures = 0
        while True:
            try:
                return await call()
            except Unavailable as error:
                left = end - monotonic()
                if left <= 0:
                    raise Infrastructure(
                        f"the core could not be reached for {self.budget}: {error}; run the"
                        " instance again when it is back: what was saved is kept"
                    ) from error
                self._outage.tell(error, left, self.tell.total_seconds())
            failures += 1
            await asyncio.sleep(delay(failures))
