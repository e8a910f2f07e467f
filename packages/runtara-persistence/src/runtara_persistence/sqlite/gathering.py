"""Steps of callers who wait at the same time, gathered for one hop to a connection's thread."""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_persistence.sqlite.affinity import Affinity
from runtara_persistence.sqlite.group_commit import Done, Failed, Outcome, Step

T = TypeVar("T")

CarryOut: TypeAlias = Callable[[Any, Sequence[Step[Any]]], list[Outcome]]

MAX_GROUP = 256
"""How many steps share a hop at most, so that the first of them doesn't wait for ever more."""

_PAUSE = 3
"""
How many turns of the loop lie between two groups, unless one caller is alone.

In the first those just answered go on, in the second what they send goes out, and what came until
then is taken in to join. A group begun at once is smaller, and its thread fights with all that for
the interpreter's lock.
"""

_SHORTAGE = 0.05
"""Seconds to wait for memory that is short."""


class Gathering:
    """
    Carries out steps on one connection, a group at a time: one hop to its thread, and one back.

    Open between `opened` and `close`. carry_out: runs in the thread and raises nothing.
    follows_loop: the thread is kept on the CPU that the loop runs on.
    """

    def __init__(self, carry_out: CarryOut, *, follows_loop: bool = False) -> None:
        self._carry_out = carry_out
        self._follows_loop = follows_loop
        self._waiting: deque[_Turn] = deque()
        self._is_open = False

    def opened(self, connection: aiosqlite.Connection) -> None:
        """Take steps from now on, in the running loop."""
        self._connection = connection
        self._affinity = Affinity() if self._follows_loop else None
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_open = True

    async def close(self) -> None:
        """Take no more steps, and return when those taken have their outcomes."""
        self._is_open = False
        await self._idle.wait()

    async def run(self, step: Step[T], *, then: Callable[[T], None] | None = None) -> T:
        """
        Carry out a step, and return or raise what it does.

        A cancelled caller gets its cancellation at once; its step is dropped if it has not begun,
        and otherwise carried out. then: called in the event loop with what a step carried out has
        given, whether its caller is still there or not; it must not raise. Raises DatabaseError
        when not open.
        """
        if not self._is_open:
            raise DatabaseError("The database is not open: it was closed, or never opened")
        turn = _Turn(step, self._loop.create_future(), then)
        self._waiting.append(turn)
        if self._idle.is_set():
            self._idle.clear()
            # After the tasks that are ready now, for them to join.
            self._begin_after(1)
        outcome = await turn.future
        if isinstance(outcome, Failed):
            # An error shared with others of the group must not gather their tracebacks.
            raise outcome.error if outcome.own_doing else outcome.error.with_traceback(None)
        value: T = outcome.value
        return value

    def _begin_after(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._begin_after, turns - 1)
        else:
            self._begin()

    def _begin(self) -> None:
        group = self._next_group()
        if not group:
            self._idle.set()
            return
        try:
            if self._affinity is not None:
                self._affinity.follow()
            _in_thread_of(self._connection, partial(self._work, group))
        except Exception as error:
            self._end(group, [Failed(error)] * len(group))

    def _work(self, group: Sequence["_Turn"], connection: sqlite3.Connection) -> None:
        if self._affinity is not None:
            self._affinity.adopt()
        outcomes = self._carry_out(connection, [turn.step for turn in group])
        while True:
            try:
                self._loop.call_soon_threadsafe(self._end, group, outcomes)
            except MemoryError:
                # Or these callers, and all after them, would wait for ever.
                time.sleep(_SHORTAGE)
            else:
                return

    def _end(self, group: Sequence["_Turn"], outcomes: Sequence[Outcome]) -> None:
        for turn, outcome in zip(group, outcomes, strict=True):
            turn.end(outcome)
        is_alone = len(group) == 1 and not self._waiting
        self._begin_after(1 if is_alone else _PAUSE)

    def _next_group(self) -> list["_Turn"]:
        group: list[_Turn] = []
        while self._waiting and len(group) < MAX_GROUP:
            turn = self._waiting.popleft()
            if not turn.future.done():
                group.append(turn)
        return group


@dataclass(slots=True, eq=False)
class _Turn:
    step: Step[Any]
    future: asyncio.Future[Outcome]
    then: Callable[[Any], None] | None

    def end(self, outcome: Outcome) -> None:
        if self.then is not None and isinstance(outcome, Done):
            self.then(outcome.value)
        if not self.future.done():
            self.future.set_result(outcome)


def _in_thread_of(
    connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], None]
) -> None:
    # aiosqlite has no public way to run a function of ours in its connection's thread, and a call
    # a statement costs a thread hop each, around 100 microseconds. This is the only such place:
    # the queue its thread takes functions from, each with the future to tell, if there is one.
    connection._tx.put_nowait((None, partial(work, connection._conn)))
