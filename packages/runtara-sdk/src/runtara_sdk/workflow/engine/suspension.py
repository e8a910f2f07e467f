"""Idleness: when all branches only wait, the process is of no use and ends."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runtara_sdk.workflow.engine.calls import Place, Wait
from runtara_sdk.workflow.engine.keys import OWN
from runtara_sdk.workflow.engine.outcome import Awaited, Ended, Outcome, waits
from runtara_sdk.workflow.engine.patience import Patience
from runtara_sdk.workflow.engine.records import Entry, Kind
from runtara_sdk.workflow.engine.store import Told

if TYPE_CHECKING:
    from runtara_sdk.workflow.engine.execution import Run

logger = logging.getLogger(__name__)

_NEVER = datetime.max.replace(tzinfo=UTC)

_TURNS = 10
"""Of the loop: more than there are tasks that wait for each other where a call has ended."""


class Idleness:
    """Sees when every branch of a run waits, and releases the process if that takes long."""

    def __init__(self, run: "Run", patience: Patience) -> None:
        self._run = run
        self._patience = patience
        self._timer: asyncio.Handle | None = None
        self._releasing: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Look again, once what is on its way now has come, through several tasks perhaps."""
        self._after(_TURNS)

    def go_on(self) -> None:
        """Let places that were paused go on."""
        for place in self._run.in_flight:
            if place.wait is not None and place.wait.is_pause:
                place.wait.end()

    def close(self) -> None:
        """End what goes on in the background."""
        if self._timer is not None:
            self._timer.cancel()
        if self._releasing is not None:
            self._releasing.cancel()

    def _after(self, turns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        if turns:
            self._timer = loop.call_soon(self._after, turns - 1)
        else:
            self._consider()

    def _set(self, after: timedelta) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(after.total_seconds(), self._consider)

    def _consider(self) -> None:
        if self._run.over.done() or not self._is_idle() or self._is_releasing():
            return
        if self._run.is_cancelled:
            # With a cancel pending the core lets nobody sleep: clean-up keeps its process.
            return
        if self._run.is_pausing:
            self._releasing = self._run.in_background(self._pause())
            return
        left = self._held_for()
        if left > timedelta(0):
            self._set(left)
        else:
            self._releasing = self._run.in_background(self._release())

    def _is_releasing(self) -> bool:
        return self._releasing is not None and not self._releasing.done()

    def _is_idle(self) -> bool:
        """Tell whether every branch has a call under way, and all calls wait."""
        busy = {place.runner for place in self._run.in_flight}
        return busy >= self._run.branches and all(map(_waits, self._run.in_flight))

    def _held_for(self) -> timedelta:
        """How long the process is kept for what may end the waiting soon."""
        now, wake = self._run.clock(), self._wake()[0]
        if wake is not None and wake - now <= self._patience.hold:
            return wake - now + timedelta(milliseconds=50)
        began = [
            place.wait.since for place in self._run.in_flight if place.wait and place.wait.is_open
        ]
        # Its task may be through with all that is under way in tasks of asyncio's.
        waiting = {place.runner for place in self._run.in_flight if not place.is_handed_over}
        others = self._run.branches - waiting
        began += [branch.landed for branch in others if branch.landed is not None]
        return max((since + self._patience.hold - now for since in began), default=timedelta(0))

    def _wake(self) -> tuple[datetime | None, str]:
        """When something ends a wait by itself, and the key that it is saved under."""
        known: list[tuple[datetime, str]] = []
        for place in self._run.in_flight:
            if place.wait is not None and place.wait.until is not None:
                known.append((place.wait.until, place.wait.key or _own(place.wait.until)))
            known += [(s.until, s.key) for s in place.open_scopes() if s.until is not None]
        return min(known, default=(None, ""))

    async def _release(self) -> None:
        run = self._run
        await run.ears.look()
        if not self._is_idle():
            return
        wake, key = self._wake()
        latest = run.clock() + self._patience.look
        if wake is None or (wake > latest and self._waits_for_somebody()):
            wake, key = latest, _own(latest)
        moment, name = wake, key
        entry = Entry(Kind.UNTIL, f'"{moment.isoformat()}"'.encode())
        awaits = waits(self._awaits())
        is_asleep = await run.reach(
            lambda: run.journal.release(name, entry.encode(), moment, awaits)
        )
        # What was sent until it slept has made nobody due; what is sent from now on does.
        await run.ears.look()
        if is_asleep and self._is_idle() and not run.is_pausing:
            run.end(Ended(Outcome.SUSPENDED, until=moment, awaits=self._awaits()))
            return
        heard = await run.reach(lambda: run.journal.hear((), timedelta(0)))
        self._releasing = None
        if heard.told is not None:
            run.told(heard.told)
        self._set(timedelta(seconds=0.1))

    def _awaits(self) -> tuple[Awaited, ...]:
        """What the run waits for, what ends first by itself before the others."""
        found = [
            one
            for place in self._run.in_flight
            if place.wait is not None and (one := self._awaited(place, place.wait)) is not None
        ]
        return tuple(sorted(found, key=lambda one: (one.until or _NEVER, one.name)))

    def _awaited(self, place: Place, wait: Wait) -> Awaited | None:
        """What one call waits for; None for a group or a race, whose branches wait themselves."""
        untils = [wait.until, *(scope.until for scope in place.open_scopes())]
        until = min((each for each in untils if each is not None), default=None)
        name = self._run.ears.name_of(wait)
        if name is not None:
            return Awaited("signal", name, until, wait.since)
        if wait.until is None:
            return None
        return Awaited("sleep" if place.call is None else "retry", place.key, until, wait.since)

    def _waits_for_somebody(self) -> bool:
        return any(place.wait is not None and place.wait.is_open for place in self._run.in_flight)

    async def _pause(self) -> None:
        run = self._run
        if await run.reach(lambda: run.journal.acknowledge(Told.PAUSE)):
            run.end(Ended(Outcome.SUSPENDED))
            return
        # Something else has taken its place: that comes with the next answer.
        run.is_pausing = False
        self._releasing = None
        self.go_on()


def _own(moment: datetime) -> str:
    """A key for a moment that is saved under none."""
    return f"{OWN}look/{moment.isoformat(timespec='milliseconds')}"


def _waits(place: Place) -> bool:
    return place.wait is not None and not place.wait.ended.done()
