"""Appending events: those of an instance that wait for the same turn share a statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from runtara_domain.error import DatabaseError
from runtara_domain.fifo import Fifo, Turn
from runtara_domain.model import EventStep, Recorded
from runtara_persistence.postgres import recording
from runtara_persistence.postgres.database import Database
from runtara_persistence.postgres.failure import is_of_one_step
from runtara_persistence.postgres.gathering import MAX_BYTES, Waiting

_MAX_EVENTS = 1000
_ATTEMPT = "keep an event"

_Asked: TypeAlias = "Waiting[tuple[EventStep, datetime], Recorded]"


@dataclass(slots=True)
class _Batch:
    """What will be stored in one turn, until that comes open for more."""

    turn: Turn
    asked: "list[_Asked]" = field(default_factory=list)
    size: int = 0

    def takes(self, step: EventStep) -> bool:
        is_short = len(self.asked) < _MAX_EVENTS
        return is_short and self.size + len(step.event.payload) <= MAX_BYTES

    def add(self, step: EventStep, at: datetime) -> "asyncio.Future[Recorded]":
        future: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self.asked.append(Waiting((step, at), future))
        self.size += len(step.event.payload)
        return future


class Appending:
    """Stores events of an instance in the order they were told, between its other steps."""

    def __init__(self, database: Database, turns: Fifo) -> None:
        self._database = database
        self._turns = turns
        self._open: dict[str, _Batch] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def append(self, step: EventStep, at: datetime) -> Recorded:
        """
        Carry out `events.append`.

        A cancelled caller's event is left out if its turn has not come; otherwise it is stored.
        """
        with self._database.step():
            return await self._batch(step).add(step, at)

    def _batch(self, step: EventStep) -> _Batch:
        instance_id = step.caller.instance_id
        batch = self._open.get(instance_id)
        # Whatever else was asked for meanwhile comes between them.
        if batch is not None and self._turns.is_last(batch.turn) and batch.takes(step):
            return batch
        batch = self._open[instance_id] = _Batch(self._turns.turn({instance_id}))
        work = asyncio.create_task(self._carry_out(instance_id, batch))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return batch

    async def _carry_out(self, instance_id: str, batch: _Batch) -> None:
        try:
            async with batch.turn:
                self._close(instance_id, batch)
                await self._store([each for each in batch.asked if not each.future.done()])
        except Exception as error:
            for each in batch.asked:
                each.fail(error)
        finally:
            self._close(instance_id, batch)
            for each in batch.asked:
                # Left without an outcome only if this task was cancelled, at the end of the loop.
                each.future.cancel()

    def _close(self, instance_id: str, batch: _Batch) -> None:
        if self._open.get(instance_id) is batch:
            del self._open[instance_id]

    async def _store(self, asked: "Sequence[_Asked]") -> None:
        if not asked:
            return
        try:
            outcomes = await self._write(asked)
        except DatabaseError as error:
            if not is_of_one_step(error):
                raise
            await self._store_each(asked, error)
        else:
            for each, outcome in zip(asked, outcomes, strict=True):
                each.end(outcome)

    async def _store_each(self, asked: "Sequence[_Asked]", error: DatabaseError) -> None:
        """Find the one that can't be stored, for the others not to suffer from it."""
        if len(asked) == 1:
            asked[0].fail(error)
            return
        for each in asked:
            await self._store([each])

    async def _write(self, asked: "Sequence[_Asked]") -> list[Recorded]:
        statement = recording.append(
            [each.step[0] for each in asked], at=max(each.step[1] for each in asked)
        )
        found = await self._database.write(_ATTEMPT, statement.query, *statement.arguments)
        return statement.outcomes(found)
