"""Everything that waits, sleeps and polls alike: one timer each, and one watch for all of it."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from runtara_domain.alarms import Alarms
from runtara_domain.error import DatabaseError
from runtara_domain.ports.clock import Clock
from runtara_domain.sessions import Session

Watch = Callable[[Callable[[Collection[str] | None], None]], AbstractAsyncContextManager[None]]

_RETRY = timedelta(seconds=1)

_log = logging.getLogger(__name__)


class Wake(Enum):
    """Why a wait came to its end, or has to look again."""

    TOLD = auto()
    """Something may have changed for its instance; the wait goes on until it is left."""
    DUE = auto()
    """Its moment has come."""
    GONE = auto()
    """Its session was closed: the answer would reach no client."""
    ENDING = auto()
    """The core is shutting down."""


class Wait:
    """One wait that is held, for an instance and until a moment."""

    __slots__ = ("_news", "_waiter", "instance_id", "is_left")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.is_left = False
        self._news: Wake | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> Wake:
        """Return what woke it since the last call, or wait for it; the last ends are repeated."""
        if self._news is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        news = self._news
        assert news is not None
        if news in (Wake.TOLD, Wake.DUE):
            self._news = None
        return news

    def wake(self, news: Wake) -> None:
        """Let `next` return; of several reasons it hears the later one of `Wake`."""
        if self._news is None or self._news.value < news.value:
            self._news = news
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def ring(self) -> None:
        """Let it hear that its moment has come."""
        self.wake(Wake.DUE)


@dataclass(frozen=True, slots=True)
class _Reminder:
    """Has a wait look again."""

    wait: Wait

    @property
    def is_left(self) -> bool:
        return self.wait.is_left

    def ring(self) -> None:
        self.wait.wake(Wake.TOLD)


class Waits:
    """
    The waits held, each costing a future and a place in a heap: no task, timer or query of its own.

    `keep` must be running for anything but shutdown and closed sessions to be noticed.
    """

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self._watch = watch
        self._clock = clock
        self._held: dict[str, set[Wait]] = {}
        self._moments = Alarms(clock.now, clock.sleep_until)
        self._spans = Alarms(clock.uptime, self._pause_until)
        self._count = 0
        self._is_ending = False
        self._changed = asyncio.Event()

    @property
    def held(self) -> int:
        """How many waits are held."""
        return self._count

    @contextmanager
    def hold(self, session: Session, instance_id: str) -> Iterator[Wait]:
        """
        Hold a wait for the time of the block.

        Enter first, then read what is waited for: what changes from then on is told.
        """
        wait = Wait(instance_id)
        self._add(wait)
        try:
            with session.closing(lambda: wait.wake(Wake.GONE)):
                if self._is_ending:
                    wait.wake(Wake.ENDING)
                yield wait
        finally:
            self._leave(wait)

    def ring(self, wait: Wait, moment: datetime) -> None:
        """Wake it with DUE at this moment, by the wall clock."""
        self._moments.set(wait, moment)

    def ring_after(self, wait: Wait, span: timedelta) -> None:
        """Wake it with DUE when so much time has passed, whatever becomes of the wall clock."""
        self._spans.set(wait, self._clock.uptime() + span)

    def tell_after(self, wait: Wait, span: timedelta) -> None:
        """Let it look again, with TOLD, when so much time has passed."""
        self._spans.set(_Reminder(wait), self._clock.uptime() + span)

    def tell(self, instance_ids: Collection[str] | None) -> None:
        """Let the waits of these instances look again; None: all of them."""
        for instance_id in list(self._held) if instance_ids is None else instance_ids:
            for wait in self._held.get(instance_id, ()):
                wait.wake(Wake.TOLD)

    def end(self) -> None:
        """Wake every wait with ENDING, those to come at once."""
        self._is_ending = True
        for waits in self._held.values():
            for wait in waits:
                wait.wake(Wake.ENDING)

    async def keep(self) -> None:
        """Watch for signals while a request waits, until cancelled."""
        try:
            while True:
                await self._until(lambda: self._count > 0)
                await self._watch_once()
        finally:
            self._moments.stop()
            self._spans.stop()

    async def _watch_once(self) -> None:
        try:
            async with self._watch(self.tell):
                self.tell(None)  # What came before the watch began was not told.
                await self._until(lambda: self._count == 0)
        except DatabaseError as error:
            _log.warning("signals not watched, will be tried again: %s", error)
            await self._clock.pause(_RETRY)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _add(self, wait: Wait) -> None:
        self._held.setdefault(wait.instance_id, set()).add(wait)
        self._count += 1
        if self._count == 1:
            self._changed.set()

    def _leave(self, wait: Wait) -> None:
        wait.is_left = True
        waits = self._held[wait.instance_id]
        waits.discard(wait)
        if not waits:
            del self._held[wait.instance_id]
        self._count -= 1
        if self._count == 0:
            self._changed.set()
        self._moments.tidy(self._count)
        self._spans.tidy(self._count)

    async def _pause_until(self, uptime: timedelta) -> None:
        await self._clock.pause(uptime - self._clock.uptime())
