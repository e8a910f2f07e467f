"""A run: one process's way through a workflow, from what is saved to where it ends or waits."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from runtara_sdk.errors import RuntaraError
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.abandon import leave_parked
from runtara_sdk.workflow.engine.calls import CANCEL, Branch, Place, Scope, Wait
from runtara_sdk.workflow.engine.cancellation import Strikes, warn_of
from runtara_sdk.workflow.engine.context import here, is_handed_over
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.inbox import Ears
from runtara_sdk.workflow.engine.keys import Numbers
from runtara_sdk.workflow.engine.outcome import Ended
from runtara_sdk.workflow.engine.records import Entry, Kind
from runtara_sdk.workflow.engine.replay import History, check, check_step
from runtara_sdk.workflow.engine.store import Begun, Journal, Told
from runtara_sdk.workflow.engine.suspension import Idleness
from runtara_sdk.workflow.engine.turns import Turns
from runtara_sdk.workflow.errors import Changed, Refused

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MANY = 10_000


def utc_now() -> datetime:
    """The time: aware, in UTC."""
    return datetime.now(UTC)


class Run:
    """
    What the durable calls of one workflow share.

    `over` gets the end of the run, or why it can't go on, when user code must not run any further;
    whoever asks for something durable then stays where it is.
    """

    def __init__(
        self,
        journal: Journal,
        begun: Begun,
        workflow: Definition,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.journal = journal
        self.instance_id = journal.instance_id
        self.history = History(begun.passed or {})
        self.clock = clock
        self.root = Branch("", Numbers(""), Scope(CANCEL))
        self.branches = {self.root}
        self.in_flight: set[Place] = set()
        self.over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.is_cancelled = False
        self.is_pausing = False
        self.idleness = Idleness(self, workflow.patience)
        self.ears = Ears(self)
        self.strikes = Strikes(self)
        self.workflow = workflow
        self.turns = Turns(self.history.thrown())
        self._reads_each = begun.passed is None
        self._saved = len(begun.passed or {})
        self._tasks: set[asyncio.Task[object]] = set()

    async def passed(self, place: Place) -> Entry | None:
        """
        Give what is saved for a place; None: it is live.

        Stays here for ever if the run is over or the code has changed.
        """
        entry = await self.saved(place)
        if entry is None and here().is_joined:
            await self.stop(
                Changed(
                    f"the code calls {place.key!r} in a group whose branches had all ended without"
                    " it: leave out for instances that are under way what was added, or declare it"
                    " with `if await patched(...)` round a group of its own"
                )
            )
        return entry

    async def saved(self, place: Place) -> Entry | None:
        """Give what is saved for a place, which may have passed without being saved."""
        await self.go_on()
        try:
            entry = self.history.take(place)
            if entry is None and self._reads_each:
                entry = await self._read(place.key)
                if entry is not None:
                    check(place, entry)
        except Refused as error:
            await self.stop(error)
        return entry

    async def beside(self, place: Place, what: str) -> Entry | None:
        """Give what is saved beside a place."""
        entry = self.history.peek(place.beside(what))
        if entry is None and self._reads_each:
            entry = await self._read(place.beside(what))
        try:
            check_step(place, entry)
        except Refused as error:
            await self.stop(error)
        return entry

    @property
    def is_old(self) -> bool:
        """Whether something may be saved in a form before this one."""
        return self._reads_each or self.history.is_old

    async def save(self, key: str, entry: Entry) -> Entry:
        """Save an entry; the one that stands then, which is another if there was one."""
        state = entry.encode()
        # What `reach` does, without its frame: a step's way to the wire is kept short.
        try:
            kept = await self.journal.save(key, state)
        except RuntaraError as error:
            await self.stop(error)
        self._saved += 1
        if self._saved == _MANY:
            logger.warning(
                "instance %r has %d checkpoints: let the workflow go on under another id now and"
                " then, with restart_as",
                self.instance_id,
                _MANY,
            )
        if kept.told is not None:
            self.told(kept.told)
        await self.go_on()
        return entry if kept.state == state else records.decode(key, kept.state)

    async def _read(self, key: str) -> Entry | None:
        state = await self.reach(lambda: self.journal.read(key))
        return None if state is None else records.decode(key, state)

    async def reach(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the core; stays here if that fails."""
        try:
            return await call()
        except RuntaraError as error:
            # Out of reach, superseded, ended by somebody: whatever it is, user code can't mend it.
            await self.stop(error)

    @contextmanager
    def flight(self, place: Place) -> Iterator[None]:
        """Let a live call be seen by what may strike it, and by who looks whether all wait."""
        task = asyncio.current_task()
        assert task is not None
        place.runner, place.is_handed_over = here(), is_handed_over()
        place.scopes = tuple(place.runner.scopes)
        self._tasks.add(task)
        self.in_flight.add(place)
        try:
            yield
        finally:
            self.in_flight.discard(place)
            self.strikes.landed.set()
            if place.is_handed_over:
                place.runner.landed = self.clock()
            if self.in_flight:
                self.idleness.look()

    async def admit(self, place: Place) -> None:
        """Return when a live call may go on; throws what strikes it."""
        await self.go_on()
        await self.resumed(place)
        by = place.striker(self.clock())
        if by is not None:
            await self.strike(place, by, place.key)

    async def interruptible(self, place: Place, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, and let what strikes end it: thrown then, once its place is saved."""
        place.task = asyncio.current_task()
        assert place.task is not None
        try:
            return await work()
        except BaseException as error:
            if place.by is None:
                warn_of(place, error)
                raise
            by = place.by
        finally:
            task, place.task = place.task, None
            if place.by is not None:
                task.uncancel()
                place.by = None
        return await self.strike(place, by, place.key)

    async def wait(self, place: Place, wait: Wait, struck_key: str) -> None:
        """Wait until it is over; throws what strikes it, saved under this key."""
        by = place.striker(self.clock()) or await self.linger(place, wait)
        if by is not None:
            await self.strike(place, by, struck_key)
        await self.resumed(place)

    async def resumed(self, place: Place) -> None:
        """Return when the instance is not to pause."""
        while self.is_pausing:
            await self.linger(place, Wait(_future(), self.clock(), is_pause=True))

    async def strike(self, place: Place, by: str, key: str) -> NoReturn:
        """Save that it was struck here, then throw."""
        await self.throw(place, await self.save_strike(place, by, key))

    async def save_strike(self, place: Place, by: str, key: str) -> Entry:
        """Save that it was struck here."""
        text, nth = json.dumps(by, ensure_ascii=False).encode(), self.turns.begin()
        is_own = key == place.key
        entry = place.entry(Kind.STRUCK, text, nth) if is_own else Entry(Kind.STRUCK, text, nth=nth)
        await self.save(key, entry)
        return entry

    async def throw(self, place: Place, entry: Entry) -> NoReturn:
        """Throw what struck here, as it did in the run that saved it."""
        await self.turns.come(entry.nth)
        by = json.loads(entry.value)
        here().settle(by, is_seen=not is_handed_over())
        raise asyncio.CancelledError(f"{by} at {place.key}")

    async def linger(self, place: Place, wait: Wait) -> str | None:
        """Wait until it is over (None), or something strikes (its key): nothing is thrown."""
        timer = None
        if wait.until is not None:
            left = (wait.until - self.clock()).total_seconds()
            timer = asyncio.get_running_loop().call_later(max(left, 0), wait.end)
        place.wait = wait
        self.idleness.look()
        try:
            by = await wait.ended
        except asyncio.CancelledError as error:
            warn_of(place, error)
            raise
        finally:
            place.wait = None
            if timer is not None:
                timer.cancel()
        await self.go_on()
        return by

    def waiting(
        self, until: datetime | None = None, *, key: str | None = None, is_open: bool = False
    ) -> Wait:
        """A wait that begins now; `key`: what its end is saved under."""
        return Wait(_future(), self.clock(), until, key, is_open)

    def told(self, told: Told) -> None:
        """Hear what the instance shall do; it is done when a durable call allows."""
        if told is Told.PAUSE:
            self.is_pausing = not self.is_cancelled
            self.idleness.look()
            return
        self.is_pausing = False
        if told is Told.CANCEL and not self.is_cancelled:
            self.is_cancelled = True
            self.strikes.strike_in(self.root.whole)
        self.idleness.go_on()

    async def stop(self, end: Ended | Exception) -> NoReturn:
        """End the run here: no user code goes on, and none is unwound."""
        self.end(end)
        await self.park()

    def end(self, end: Ended | Exception) -> None:
        """Say how the run ends, unless that was said."""
        if not self.over.done():
            if isinstance(end, Ended):
                self.over.set_result(end)
            else:
                self.over.set_exception(end)

    def in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something beside the workflow; what it raises ends the run."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._looked_after)
        return task

    def _looked_after(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self.end(error)

    async def go_on(self) -> None:
        """Return unless the run is over: stay here for ever then."""
        if self.over.done():
            await self.park()

    async def park(self) -> NoReturn:
        """Stay here for ever."""
        task = asyncio.current_task()
        assert task is not None
        leave_parked([task])
        while True:
            await _future()

    def leave(self) -> None:
        """Leave all the workflow's tasks where they are."""
        known = {branch.task for branch in self.branches if branch.task is not None}
        leave_parked(known | self._tasks)
        self.strikes.close()
        # A task that failed holds the frames that it went through, and is held by its own context
        # through this run: a file open in one would be closed by the collector, in a wrong order.
        self._tasks = {task for task in self._tasks if not task.done()}
        for branch in self.branches:
            if branch.task is not None and branch.task.done():
                branch.task = None


def _future() -> "asyncio.Future[str | None]":
    return asyncio.get_running_loop().create_future()
