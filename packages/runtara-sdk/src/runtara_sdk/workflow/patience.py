"""How long a run waits: for the core, and for what may come soon."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from time import monotonic
from typing import TypeVar

from runtara_sdk.backoff import delay
from runtara_sdk.workflow.errors import Infrastructure, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """
    `budget`: how long the core may be out of reach.

    Waits shorter than `hold` keep the process; when it was released, a wait that nothing ends by
    itself is looked at every `look`.
    """

    budget: timedelta = timedelta(minutes=5)
    hold: timedelta = timedelta(seconds=60)
    look: timedelta = timedelta(hours=1)

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the core until it answers; raises Infrastructure when the budget is used up."""
        pauses = self._pauses()
        while True:
            try:
                return await call()
            except Unavailable as error:
                pause = next(pauses, None)
                if pause is None:
                    raise Infrastructure(
                        f"the core could not be reached for {self.budget}: {error}; run the"
                        " instance again when it is back: what was saved is kept"
                    ) from error
            await asyncio.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        """The seconds to wait after each failure, until the budget is used up."""
        end = monotonic() + self.budget.total_seconds()
        for failures in count(1):
            if monotonic() >= end:
                return
            yield delay(failures)
