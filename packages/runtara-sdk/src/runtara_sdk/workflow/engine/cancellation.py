"""Strikes: timeouts, failing groups and cancels end durable calls, each once."""

import asyncio
import logging
from typing import TYPE_CHECKING

from runtara_sdk.workflow.engine.calls import Branch, Place, Scope
from runtara_sdk.workflow.user_objects import is_a

if TYPE_CHECKING:
    from runtara_sdk.workflow.engine.execution import Run


logger = logging.getLogger(__name__)


class Strikes:
    """
    Lets scopes strike the live calls of one run, when their time has come.

    `landed` is set whenever a call has ended.
    """

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._timers: dict[Scope, asyncio.TimerHandle] = {}
        self.landed = asyncio.Event()

    def enter(self, branch: Branch, scope: Scope) -> None:
        """Let the calls made from here on be struck by a scope."""
        if scope.until is not None:
            left = (scope.until - self._run.clock()).total_seconds()
            loop = asyncio.get_running_loop()
            self._timers[scope] = loop.call_later(max(left, 0), self.strike_in, scope)
        branch.enter(scope)

    def exit(self, branch: Branch, scope: Scope, error: BaseException | None) -> list[Scope]:
        """End a scope: it strikes no more; gives it, if it struck, and the outer that did in it."""
        if scope in self._timers:
            self._timers.pop(scope).cancel()
        struck = branch.exit(scope, error)
        scope.wanted, scope.until = False, None
        return struck

    def strike_in(self, scope: Scope) -> None:
        """Strike what is live in a scope, or else the next that will be."""
        if self._run.over.done():
            return
        scope.wanted = True
        for place in list(self._run.in_flight):
            if scope in place.open_scopes():
                place.strike(scope.key)

    async def end(self, branch: Branch) -> None:
        """
        Strike what a branch that has ended left under way in tasks of asyncio's; wait for it.

        When `gather` raises, nobody waits for the others: without this an effect would be lost.
        """
        await asyncio.sleep(0)  # What it has begun is under way after this.
        branch.end.wanted = True
        if self._left_by(branch):
            self.strike_in(branch.end)
        while self._left_by(branch):
            self.landed.clear()
            await self.landed.wait()

    def _left_by(self, branch: Branch) -> bool:
        return any(place.runner is branch for place in self._run.in_flight)

    def close(self) -> None:
        """Let nothing strike any more."""
        for timer in self._timers.values():
            timer.cancel()


def warn_of(place: Place, error: BaseException) -> None:
    """Warn if a live call was cancelled by something else than a strike."""
    if is_a(error, asyncio.CancelledError):
        logger.warning(
            "%s was cancelled by something that no replay knows of: use timeout, race and TaskGroup"
            " of runtara_sdk instead of asyncio's",
            place.key,
        )
