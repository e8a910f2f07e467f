"""Steps of an instance, one after another as they were asked for, though connections are many."""

import asyncio
from collections.abc import Collection
from types import TracebackType
from typing import Self

from runtara_domain.error import DatabaseError


class Turns:
    """
    Who comes first for an instance goes first; different instances don't wait for each other.

    patience: seconds to wait at most.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._last: dict[str, Turn] = {}

    def turn(self, instance_ids: Collection[str]) -> "Turn":
        """Take the place behind all that asked before for any of these instances."""
        return Turn(self._last, instance_ids, self._patience)

    def is_last(self, turn: "Turn") -> bool:
        """Whether nobody has asked for any of a turn's instances since."""
        return all(self._last.get(each) is turn for each in turn.instance_ids)


class Turn:
    """
    A place among the steps of some instances: it comes on entry and is over on exit.

    Entering raises DatabaseError if it has not come in time.
    """

    def __init__(
        self, last: "dict[str, Turn]", instance_ids: Collection[str], patience: float
    ) -> None:
        self.instance_ids = instance_ids
        self._last = last
        self._patience = patience
        self._before = {last[each]._over for each in instance_ids if each in last}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last.update(dict.fromkeys(instance_ids, self))

    async def __aenter__(self) -> Self:
        try:
            if self._before:
                await self._wait()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    async def _wait(self) -> None:
        # Not by awaiting them: a cancelled caller would cancel them for the others.
        _, under_way = await asyncio.wait(self._before, timeout=self._patience)
        if under_way:
            raise DatabaseError(
                "Failed to store events in PostgreSQL: those told before them are still under way"
                f" after {self._patience:g} s"
            )

    def _end(self) -> None:
        # Who gave up waiting still stands between those before and those after.
        asyncio.gather(*self._before).add_done_callback(self._pass_on)

    def _pass_on(self, _: object) -> None:
        self._over.set_result(None)
        for each in self.instance_ids:
            if self._last.get(each) is self:
                del self._last[each]
