"""The order of raised errors in tasks of asyncio's: the one that is saved, on every replay."""

import asyncio

from runtara_sdk.workflow.engine.calls import is_detached


class RaiseOrder:
    """
    Numbers what is thrown in tasks of asyncio's, and lets it be thrown in that order.

    `asyncio.gather` raises what is thrown first, so a replay must not throw another before it.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._saving: set[int] = set()
        self._due: dict[int, asyncio.Future[None]] = {}

    def reserve(self) -> int | None:
        """The number of what will be thrown here once it is saved; None: in its branch's task."""
        if not is_detached():
            return None
        self._last += 1
        number, task = self._last, asyncio.current_task()
        assert task is not None
        self._saving.add(number)
        # Who cancels the task while that is saved shall not keep the others waiting.
        task.add_done_callback(lambda _: self._leave(number))
        return number

    async def come(self, number: int | None) -> None:
        """Return when it may be thrown: after what has a lower number, if that is at hand."""
        if number is None:
            return
        self._saving.discard(number)
        loop = asyncio.get_running_loop()
        due = self._due[number] = loop.create_future()
        # What else a replay finds saved comes in this turn of the loop.
        loop.call_soon(self._throw)
        await due

    def _leave(self, number: int) -> None:
        self._saving.discard(number)
        self._throw()

    def _throw(self) -> None:
        for number in sorted(self._due):
            if any(other < number for other in self._saving):
                return
            due = self._due.pop(number)
            if not due.done():
                due.set_result(None)
