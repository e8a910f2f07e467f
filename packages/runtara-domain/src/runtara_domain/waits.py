"""The waits of held sleeps and polls: they share timers, and one watch of the database."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta
from enum import Enum, auto

from runtara_domain.error import DatabaseError
from runtara_domain.ports.clock import Clock
from runtara_domain.record import record
from runtara_domain.sessions import Session
from runtara_domain.timers import Timers

Watch = Callable[[Callable[[Collection[str] | None], None]], AbstractAsyncContextManager[None]]

_RETRY = timedelta(seconds=1)
_LINGER = timedelta(seconds=5)
"""How long the watch stays open without a wait: opening one costs PostgreSQL a connection."""

_log = logging.getLogger(__name__)


class WakeReason(Enum):
    """Why a wait ended, or must read its instance again."""

    RECHECK = auto()
    """The instance may have changed: the caller reads it again, and goes on waiting."""
    DUE = auto()
    """The moment given to `fire_at` or `fire_after` has come."""
    DISCONNECTED = auto()
    """The session was closed: an answer would reach no client."""
    ENDING = auto()
    """The core is shutting down."""


class Wait:
    """A held wait of one instance."""

    __slots__ = ("_reason", "_waiter", "instance_id", "is_left")

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.is_left = False
        self._reason: WakeReason | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> WakeReason:
        """Return the pending reason, or wait for one. DISCONNECTED and ENDING are sticky."""
        if self._reason is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        reason = self._reason
        assert reason is not None
        if reason in (WakeReason.RECHECK, WakeReason.DUE):
            self._reason = None
        return reason

    def wake(self, reason: WakeReason) -> None:
        """Let `next` return. Of several reasons, the one declared last in `WakeReason` wins."""
        if self._reason is None or self._reason.value < reason.value:
            self._reason = reason
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fire(self) -> None:
        """Wake the wait with DUE."""
        self.wake(WakeReason.DUE)


@record
class _Reminder:
    """A timer that wakes a wait with RECHECK."""

    wait: Wait

    @property
    def is_left(self) -> bool:
        return self.wait.is_left

    def fire(self) -> None:
        self.wait.wake(WakeReason.RECHECK)


class Waits:
    """
    The held waits. Each costs a future and an entry in a heap: no task, timer or query of its own.

    Without a running `keep`, only shutdown and closed sessions wake a wait.
    """

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self._watch = watch
        self._clock = clock
        self._held: dict[str, set[Wait]] = {}
        self._moments = Timers(clock.now, clock.sleep_until)
        self._spans = Timers(clock.uptime, self._pause_until)
        self._count = 0
        self._unused_since = clock.uptime()
        self._is_ending = False
        self._used = asyncio.Event()

    @property
    def held(self) -> int:
        """How many waits are held."""
        return self._count

    @contextmanager
    def hold(self, session: Session, instance_id: str) -> Iterator[Wait]:
        """
        Hold a wait for the time of the block.

        Enter first, then read the instance: every change after that wakes the wait.
        """
        wait = Wait(instance_id)
        self._add(wait)
        try:
            with session.closing(lambda: wait.wake(WakeReason.DISCONNECTED)):
                if self._is_ending:
                    wait.wake(WakeReason.ENDING)
                yield wait
        finally:
            self._leave(wait)

    def fire_at(self, wait: Wait, moment: datetime) -> None:
        """Wake the wait with DUE at this moment, by the wall clock."""
        self._moments.set(wait, moment)

    def fire_after(self, wait: Wait, span: timedelta) -> None:
        """Wake the wait with DUE when this time has passed, by a clock that is never set."""
        self._spans.set(wait, self._clock.uptime() + span)

    def recheck_after(self, wait: Wait, span: timedelta) -> None:
        """Wake the wait with RECHECK when this time has passed."""
        self._spans.set(_Reminder(wait), self._clock.uptime() + span)

    def recheck(self, instance_ids: Collection[str] | None) -> None:
        """Wake the waits of these instances with RECHECK; None: all waits."""
        for instance_id in list(self._held) if instance_ids is None else instance_ids:
            for wait in self._held.get(instance_id, ()):
                wait.wake(WakeReason.RECHECK)

    def end(self) -> None:
        """Wake every wait with ENDING; later waits are woken as they begin."""
        self._is_ending = True
        for waits in self._held.values():
            for wait in waits:
                wait.wake(WakeReason.ENDING)

    async def keep(self) -> None:
        """Watch for signals while requests wait, and for a moment longer, until cancelled."""
        try:
            while True:
                await self._used.wait()
                await self._watch_once()
        finally:
            self._moments.stop()
            self._spans.stop()

    async def _watch_once(self) -> None:
        try:
            async with self._watch(self.recheck):
                self.recheck(None)  # The watch reports no earlier change.
                while self._is_in_use():
                    await self._clock.pause(_LINGER)
        except DatabaseError as error:
            _log.warning("signals not watched, will be tried again: %s", error)
            await self._clock.pause(_RETRY)

    def _is_in_use(self) -> bool:
        return self._count > 0 or self._clock.uptime() < self._unused_since + _LINGER

    def _add(self, wait: Wait) -> None:
        self._held.setdefault(wait.instance_id, set()).add(wait)
        self._count += 1
        self._used.set()

    def _leave(self, wait: Wait) -> None:
        wait.is_left = True
        waits = self._held[wait.instance_id]
        waits.discard(wait)
        if not waits:
            del self._held[wait.instance_id]
        self._count -= 1
        if self._count == 0:
            self._used.clear()
            self._unused_since = self._clock.uptime()
        self._moments.tidy(self._count)
        self._spans.tidy(self._count)

    async def _pause_until(self, uptime: timedelta) -> None:
        await self._clock.pause(uptime - self._clock.uptime())
