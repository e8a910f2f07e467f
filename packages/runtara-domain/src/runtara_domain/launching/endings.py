"""Waits for the ends of instances; one query reads the states for any number of waiters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.ports.transport import never_abandoned

if TYPE_CHECKING:
    from runtara_domain.ports.instances import Instances
    from runtara_domain.ports.transport import OnAbandoned
    from runtara_domain.status import State

_FIRST_LOOK, _LAST_LOOK = 0.05, 0.5


class _GivenUp(Exception):
    """No client wants the answer any more."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A waiter. due: its next read, by the loop's time. span: the time between its reads."""

    end: asyncio.Future[None]
    span: float
    due: float = 0.0

    def answer(self) -> None:
        if not self.end.done():
            self.end.set_result(None)

    def puts_off(self) -> bool:
        """Put the read off to half a second after the last one; return False if it is due."""
        if self.due == 0.0 or self.span >= _LAST_LOOK:
            return False
        self.due += _LAST_LOOK - self.span
        self.span = _LAST_LOOK
        return True

    def fail(self, error: Exception) -> None:
        if not self.end.done():
            self.end.set_exception(error)

    def give_up(self) -> None:
        self.fail(_GivenUp())


class Endings:
    """
    Waits for ends of instances.

    A waiter gets an end at once if `ended` or `tell` is called, else within half a second. The
    reads for a waiter become rarer, and reads that are about due are made together. Without waiters
    there is no query.

    runs_here: returns whether an instance has a process whose end is reported here. Its reads are
    half a second apart from the beginning.
    """

    def __init__(self, instances: Instances) -> None:
        self.runs_here: Callable[[str], bool] = lambda instance_id: False
        self._instances = instances
        self._waiters: dict[str, set[_Waiter]] = {}
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def ended(self, instance_ids: Collection[str]) -> None:
        """Answer those that wait for these instances: their ends are stored."""
        for instance_id in instance_ids:
            for waiter in self._waiters.get(instance_id, ()):
                waiter.answer()

    def tell(self, instance_ids: Collection[str]) -> None:
        """Read the states of these instances now, if anyone waits for them: they may have ended."""
        for instance_id in instance_ids:
            for waiter in self._waiters.get(instance_id, ()):
                waiter.due = 0.0
                self._changed.set()

    async def until_heard(
        self, instance_id: str, wait: timedelta, on_abandoned: OnAbandoned = never_abandoned
    ) -> bool:
        """
        Wait until an end is heard of, the time is up, or the client no longer wants the answer.

        Returns whether the instance is final or unknown, as far as was heard. An end that was
        stored just before may be heard after the instance was reopened: the caller reads what it
        needs of the instance, and waits again if it goes on. Raises InvalidValue if no instance can
        have the id, and DatabaseError.
        """
        # An id that the database refuses would fail the query of all waiters.
        values.check_id("instance_id", instance_id)
        if wait <= timedelta(0):
            return False
        with self._waiter(instance_id) as waiter, on_abandoned(waiter.give_up):
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    await waiter.end
            except (TimeoutError, _GivenUp):
                return False
        return True

    async def until_final(
        self, instance_id: str, wait: timedelta, on_abandoned: OnAbandoned = never_abandoned
    ) -> State | None:
        """
        Wait as `until_heard` until an instance is final.

        Returns its state at the end of the wait; None if it is unknown.
        """
        now = asyncio.get_running_loop().time
        until = now() + wait.total_seconds()
        while True:
            left = timedelta(seconds=until - now())
            has_heard = await self.until_heard(instance_id, left, on_abandoned)
            found = await self._instances.run_state(instance_id)
            if not has_heard or found is None or found.state.is_final:
                return None if found is None else found.state

    @contextmanager
    def _waiter(self, instance_id: str) -> Iterator[_Waiter]:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), _FIRST_LOOK)
        self._waiters.setdefault(instance_id, set()).add(waiter)
        self._changed.set()
        if self._looking is None or self._looking.done():
            # The task reads for all waiters, so it must not take this waiter's context.
            self._looking = asyncio.create_task(
                self._look_while_anything_waits(), context=Context()
            )
        try:
            yield waiter
        finally:
            if waiter.end.done() and not waiter.end.cancelled():
                waiter.end.exception()  # Marks the exception as retrieved if the time was up first.
            waiters = self._waiters[instance_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[instance_id]
                self._changed.set()

    async def _look_while_anything_waits(self) -> None:
        now = asyncio.get_running_loop().time
        while self._waiters:
            self._changed.clear()
            left = min(one.due for waiters in self._waiters.values() for one in waiters) - now()
            if left > 0:
                await self._until_changed(left)
            else:
                await self._look(now())

    async def _until_changed(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _look(self, now: float) -> None:
        # A result counts only for waiters from before the query: for others it may be too old.
        asked: dict[str, tuple[_Waiter, ...]] = {}
        for instance_id, waiters in self._waiters.items():
            due = [one for one in waiters if one.due <= now + one.span / 2]
            if due and self.runs_here(instance_id):
                due = [one for one in due if not one.puts_off()]
            if due:
                asked[instance_id] = tuple(waiters)
            for one in due:
                # Set before the read, so that a change during the read leads to another one.
                one.span = min(one.span * 1.5, _LAST_LOOK)
                one.due = now + one.span
        if not asked:
            return
        try:
            found = await self._instances.run_states(list(asked))
        except Exception as error:
            for waited in asked.values():
                for one in waited:
                    one.fail(error)
            return
        for instance_id, waited in asked.items():
            run_state = found.get(instance_id)
            if run_state is None or run_state.state.is_final:
                for one in waited:
                    one.answer()
