"""Departure: a run leaves its process once the steps under way have ended and been saved."""

import asyncio
from collections.abc import Callable

from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.run_end import RunEnd

Suspending = Callable[[], "asyncio.Task[None] | None"]
"""Returns the task that suspends the run, if one does."""


class Departure:
    """
    Ends one run's work in this process on request.

    From the request on no durable call begins, and no attempt, except one whose intent is being
    saved, because it would be in doubt. Running attempts end, and their outcomes are saved. The
    code that awaits them doesn't go on. The run is over when all its calls wait. It does not wait
    for code between two calls. The request may come before the run begins.
    """

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._live: LiveCalls | None = None
        self._end: RunEnd | None = None
        self._suspending: Suspending = lambda: None

    def of(self, live: LiveCalls, end: RunEnd, suspending: Suspending) -> None:
        """Bind the departure to the run with these parts."""
        self._live, self._end, self._suspending = live, end, suspending
        self.finish_if_idle()

    def ask(self, error: Exception) -> None:
        """Let the run leave, and end with this error."""
        self._error = error
        self.finish_if_idle()

    def finish_if_idle(self) -> None:
        """End the run if it leaves and all its calls wait."""
        if self._error is None or self._live is None or self._end is None:
            return
        if any(call.wait is None for call in self._live.calls):
            return
        suspending = self._suspending()
        if suspending is None or suspending.done():
            self._end.finish(self._error)
        else:
            # A run that falls asleep polls once more for values sent until then.
            suspending.add_done_callback(lambda _: self.finish_if_idle())

    @property
    def has_run(self) -> bool:
        """Whether there is a run that leaves when it is asked to."""
        return self._live is not None

    @property
    def is_asked(self) -> bool:
        """Whether the run was asked to leave."""
        return self._error is not None

    async def block_if_leaving(self, call: DurableCall | None = None) -> None:
        """Return, unless the run leaves: then block for ever. call: a live call without work."""
        if self._error is None or self._live is None or self._end is None:
            return
        if call is not None:
            call.wait = self._live.new_wait()
        self.finish_if_idle()
        await self._end.block()
