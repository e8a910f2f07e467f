"""Queues by key: the steps of an instance begin one after another, first come, first served."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from types import TracebackType
from typing import Any, Self


class Fifo:
    """
    First come, first served for each key; different keys don't wait for each other.

    give_up: returns when a caller has waited long enough. late: makes that caller's error from the
    keys of its turn.
    """

    def __init__(
        self,
        give_up: Callable[[], Coroutine[Any, Any, None]],
        late: Callable[[Collection[str]], Exception],
    ) -> None:
        self.give_up = give_up
        self.late = late
        self._last: dict[str, Turn] = {}

    def turn(self, keys: Collection[str]) -> "Turn":
        """Return a turn behind all earlier ones of any of these keys; the caller must enter it."""
        return Turn(self, self._last, keys)

    def is_busy(self, key: str) -> bool:
        """Return whether a turn under this key is not over."""
        return key in self._last

    def is_last(self, turn: "Turn") -> bool:
        """Return whether no later turn has one of its keys."""
        return all(self._last.get(each) is turn for each in turn.keys)


class Turn:
    """
    A turn under some keys: it begins on entry and is over on exit.

    Entering raises `Fifo.late` if the turn has not begun in time.
    """

    def __init__(self, fifo: Fifo, last: "dict[str, Turn]", keys: Collection[str]) -> None:
        self.keys = keys
        self._fifo = fifo
        self._last = last
        self._before = {last[each]._over for each in keys if each in last}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last.update(dict.fromkeys(keys, self))

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
        # By `shield`: a cancelled caller would otherwise cancel them for the others.
        before = asyncio.gather(*map(asyncio.shield, self._before))
        giving_up = asyncio.create_task(self._fifo.give_up())
        either: set[asyncio.Future[Any]] = {before, giving_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving_up.cancel()
            before.cancel()
        if not all(each.done() for each in self._before):
            raise self._fifo.late(self.keys)

    def _end(self) -> None:
        # A caller that gave up still separates the turns before it from those after it.
        under_way = [each for each in self._before if not each.done()]
        if under_way:
            asyncio.gather(*under_way).add_done_callback(self._pass_on)
        else:
            self._pass_on()

    def _pass_on(self, _: object = None) -> None:
        self._over.set_result(None)
        for each in self.keys:
            if self._last.get(each) is self:
                del self._last[each]
