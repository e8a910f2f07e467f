"""Steps of callers who wait at the same time, gathered for one hop to a connection's thread."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import aiosqlite

from runtara_domain.error import DatabaseError
from runtara_persistence.sqlite.group_commit import Done, Failed, Outcome, Step

T = TypeVar("T")

CarryOut: TypeAlias = Callable[[Any, Sequence[Step[Any]]], list[Outcome]]

MAX_GROUP = 256
"""How many steps share a hop at most, so that the first of them doesn't wait for ever more."""


class Gathering:
    """
    Carries out steps on one connection, a group at a time, each group by one call in its thread.

    Open between `opened` and `close`.
    """

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out
        self._connection: aiosqlite.Connection | None = None
        self._waiting: deque[_Turn] = deque()
        self._work: asyncio.Task[None] | None = None

    def opened(self, connection: aiosqlite.Connection) -> None:
        """Take steps from now on."""
        self._connection = connection

    async def close(self) -> None:
        """Take no more steps, and return when those taken have their outcomes."""
        self._connection = None
        if self._work is not None:
            await asyncio.wait([self._work])

    async def run(self, step: Step[T], *, then: Callable[[T], None] | None = None) -> T:
        """
        Carry out a step, and return or raise what it does.

        A cancelled caller gets its cancellation at once; its step is dropped if it has not begun,
        and otherwise carried out. then: called in the event loop with what a step carried out has
        given, whether its caller is still there or not; it must not raise. Raises DatabaseError
        when not open.
        """
        if self._connection is None:
            raise DatabaseError("The database is not open: it was closed, or never opened")
        turn = _Turn(step, asyncio.get_running_loop().create_future(), then)
        self._waiting.append(turn)
        if self._work is None:
            self._work = asyncio.create_task(self._carry_out_all(self._connection))
        outcome = await turn.future
        if isinstance(outcome, Failed):
            # An error shared with others of the group must not gather their tracebacks.
            raise outcome.error if outcome.own_doing else outcome.error.with_traceback(None)
        value: T = outcome.value
        return value

    async def _carry_out_all(self, connection: aiosqlite.Connection) -> None:
        try:
            while self._waiting:
                if group := self._next_group():
                    await self._carry_out_group(connection, group)
                # A turn of the loop, for those just answered to join the next group.
                await asyncio.sleep(0)
        finally:
            self._work = None
            while self._waiting:  # Only if this task was cancelled: the loop is coming to its end.
                self._waiting.popleft().future.cancel()

    async def _carry_out_group(
        self, connection: aiosqlite.Connection, group: Sequence["_Turn"]
    ) -> None:
        try:
            outcomes = await _in_thread_of(
                connection, self._carry_out, [turn.step for turn in group]
            )
        except asyncio.CancelledError as error:
            outcomes = [Failed(error)] * len(group)
            raise
        except Exception as error:
            outcomes = [Failed(error)] * len(group)
        finally:
            for turn, outcome in zip(group, outcomes, strict=True):
                turn.end(outcome)

    def _next_group(self) -> list["_Turn"]:
        group: list[_Turn] = []
        while self._waiting and len(group) < MAX_GROUP:
            turn = self._waiting.popleft()
            if not turn.future.done():
                group.append(turn)
        return group


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    step: Step[Any]
    future: asyncio.Future[Outcome]
    then: Callable[[Any], None] | None

    def end(self, outcome: Outcome) -> None:
        if self.then is not None and isinstance(outcome, Done):
            self.then(outcome.value)
        if not self.future.done():
            self.future.set_result(outcome)


async def _in_thread_of(
    connection: aiosqlite.Connection, carry_out: CarryOut, steps: Sequence[Step[Any]]
) -> list[Outcome]:
    # aiosqlite has no public way to run a function of ours in its connection's thread, and a call
    # a statement costs a thread hop each, around 100 microseconds. This is the only such place.
    outcomes: list[Outcome] = await connection._execute(  # type: ignore[no-untyped-call]  # private
        carry_out, connection._conn, steps
    )
    return outcomes
