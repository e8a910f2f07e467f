"""Steps of an instance, one after another as they were asked for, though connections are many."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from runtara_domain.error import DatabaseError


class Turns:
    """
    Who comes first for an instance goes first; different instances don't wait for each other.

    patience: seconds to wait at most.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._last: dict[str, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, instance_ids: Collection[str]) -> AsyncIterator[None]:
        """
        Wait for all that asked before for any of these instances; then it is this one's turn.

        Raises DatabaseError if it has not come in time.
        """
        before = {self._last[each] for each in instance_ids if each in self._last}
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last.update(dict.fromkeys(instance_ids, mine))
        try:
            if before:
                await self._wait(before)
            yield
        finally:
            # Who gave up waiting still stands between those before and those after.
            asyncio.gather(*before).add_done_callback(lambda _: self._pass_on(instance_ids, mine))

    async def _wait(self, before: "Collection[asyncio.Future[None]]") -> None:
        # Not by awaiting them: a cancelled caller would cancel them for the others.
        _, under_way = await asyncio.wait(before, timeout=self._patience)
        if under_way:
            raise DatabaseError(
                "Failed to store events in PostgreSQL: those told before them are still under way"
                f" after {self._patience:g} s"
            )

    def _pass_on(self, instance_ids: Collection[str], mine: "asyncio.Future[None]") -> None:
        mine.set_result(None)
        for each in instance_ids:
            if self._last.get(each) is mine:
                del self._last[each]
