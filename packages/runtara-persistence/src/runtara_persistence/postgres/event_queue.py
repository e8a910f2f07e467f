"""Stores all events: the steps of one instance in the order in which they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from runtara_domain.error import DatabaseError
from runtara_domain.fifo import Fifo
from runtara_domain.record import record
from runtara_persistence import queries
from runtara_persistence.batcher import MAX_BYTES, Waiting
from runtara_persistence.postgres import recording
from runtara_persistence.postgres.driver_errors import is_of_one_step

if TYPE_CHECKING:
    from runtara_domain.fifo import Turn
    from runtara_domain.model import EventStep, Recorded
    from runtara_persistence.postgres.connection import Connection
    from runtara_persistence.postgres.database import Database

_SQL = queries.load("runtara_persistence.postgres", "events.sql")

_MAX_EVENTS = 1000


@record
class Recording:
    """The steps that one caller asks for. attempt: their description in an error."""

    attempt: str
    steps: Sequence[EventStep]
    at: datetime

    @property
    def instance_ids(self) -> set[str]:
        """The ids of the instances in its steps."""
        return {step.caller.instance_id for step in self.steps}

    @property
    def only_appends(self) -> bool:
        """Whether its steps only add events and change no instance's state."""
        return all(recording.only_appends(step) for step in self.steps)

    @property
    def size(self) -> int:
        """The bytes of its payloads."""
        return sum(len(step.event.payload) for step in self.steps)


_Asked: TypeAlias = "Waiting[Recording, list[Recorded]]"


@dataclass(slots=True)
class _Batch:
    """Steps to store in one turn; until the turn comes, further steps that only append join."""

    turn: Turn
    asked: list[_Asked] = field(default_factory=list)
    count: int = 0
    size: int = 0

    def takes(self, added: Recording) -> bool:
        is_short = self.count + len(added.steps) <= _MAX_EVENTS
        return is_short and self.size + added.size <= MAX_BYTES

    def add(self, added: Recording) -> asyncio.Future[list[Recorded]]:
        future: asyncio.Future[list[Recorded]] = asyncio.get_running_loop().create_future()
        self.asked.append(Waiting(added, future))
        self.count += len(added.steps)
        self.size += added.size
        return future


class EventQueue:
    """
    Stores the events of callers, for each instance in the order in which they were asked for.

    Events of one instance share a statement if they wait for the same turn and change no state.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Fifo(lambda: asyncio.sleep(database.patience), self._late)
        self._open: dict[str, _Batch] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def record(
        self, attempt: str, steps: Sequence[EventStep], at: datetime
    ) -> list[Recorded]:
        """
        Carry out all the steps or none of them; return an outcome for each, in order.

        attempt: their description in an error.
        If the caller is cancelled before the turn of its steps comes, they are left out, and
        otherwise stored. Raises DatabaseError, also if earlier steps on the same instances are
        still under way after the database's patience.
        """
        asked = Recording(attempt, steps, at)
        with self._database.step():
            return await self._batch(asked).add(asked)

    def _batch(self, asked: Recording) -> _Batch:
        instance_ids = asked.instance_ids
        is_open = len(instance_ids) == 1 and asked.only_appends
        batch = self._open.get(next(iter(instance_ids))) if is_open else None
        # Steps join a batch only if it is the last in line: other steps would come between.
        if batch is not None and self._turns.is_last(batch.turn) and batch.takes(asked):
            return batch
        batch = _Batch(self._turns.turn(instance_ids))
        if is_open:
            self._open.update(dict.fromkeys(instance_ids, batch))
        work = asyncio.create_task(self._execute(batch))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return batch

    async def _execute(self, batch: _Batch) -> None:
        try:
            async with batch.turn:
                self._close(batch)
                await self._store([each for each in batch.asked if not each.future.done()])
        except Exception as error:
            for each in batch.asked:
                each.fail(error)
        finally:
            self._close(batch)
            for each in batch.asked:
                # A future has no outcome here only if this task was cancelled with the event loop.
                each.future.cancel()

    def _close(self, batch: _Batch) -> None:
        for instance_id in batch.turn.keys:
            if self._open.get(instance_id) is batch:
                del self._open[instance_id]

    async def _store(self, asked: Sequence[_Asked]) -> None:
        if not asked:
            return
        try:
            outcomes = iter(await self._write([each.step for each in asked]))
        except DatabaseError as error:
            if not is_of_one_step(error):
                raise
            await self._store_each(asked, error)
        else:
            for each in asked:
                each.end([next(outcomes) for _ in each.step.steps])

    async def _store_each(self, asked: Sequence[_Asked], error: DatabaseError) -> None:
        """Store each caller's steps alone, so that only those that can't be stored fail."""
        if len(asked) == 1:
            asked[0].fail(error)
            return
        for each in asked:
            await self._store([each])

    async def _write(self, asked: Sequence[Recording]) -> list[Recorded]:
        attempt = asked[0].attempt
        steps = [step for each in asked for step in each.steps]
        statements = list(recording.in_turn(steps, at=max(each.at for each in asked)))
        instance_ids = sorted({step.caller.instance_id for step in steps})
        if len(statements) == len(instance_ids) == 1:
            [one] = statements
            return one.outcomes(await self._database.write(attempt, one.query, *one.arguments))

        async def work(connection: Connection) -> list[Recorded]:
            async with connection.transaction():
                # All instances are locked first, in order: ending one locks its parent, which may
                # be among them.
                await connection.fetch(_SQL["record_all.lock"], instance_ids)
                return [
                    outcome
                    for each in statements
                    for outcome in each.outcomes(
                        await connection.fetch(each.query, *each.arguments)
                    )
                ]

        return await self._database.run(attempt, work, is_repeatable=False)

    def _late(self, _: Collection[str]) -> DatabaseError:
        return DatabaseError(
            "Failed to store events in PostgreSQL: earlier events are not stored after"
            f" {self._database.patience:g} s"
        )
