"""Events in PostgreSQL, and the moves that come with some of them."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_domain.fifo import Fifo
from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventFilter,
    EventStep,
    EventType,
    Recorded,
    StoredEvent,
)
from runtara_domain.status import Condition, State
from runtara_persistence import queries
from runtara_persistence.postgres import recording, rows
from runtara_persistence.postgres.appending import Appending
from runtara_persistence.postgres.database import Connection, Database

_QUERIES = queries.load("runtara_persistence.postgres", "events.sql")
_SUSPEND_ENDED_SO = _QUERIES["suspend.ended_so"]
_LOCK = _QUERIES["record_all.lock"]
_PAGE = _QUERIES["page"]
_COUNT = _QUERIES["count"]

_BATCH = "keep a batch of events"


class PostgresEvents:
    """Fits `runtara_domain.ports.events.Events`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Fifo(lambda: asyncio.sleep(database.patience), self._late)
        self._appending = Appending(database, self._turns)

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        return await self._appending.append(EventStep(caller, event, when), at)

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        statement = recording.end(caller, event, ending, when, at)
        [outcome] = await self._record("end an instance", statement, {caller.instance_id})
        return outcome

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        statement = recording.suspend(caller, event, at)
        [outcome] = await self._record("suspend an instance", statement, {caller.instance_id})
        return await self._recognised(caller, event, outcome)

    async def record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        outcomes = await self._record_in_turn(steps, at)
        return [
            await self._recognised(step.caller, step.event, outcome)
            for step, outcome in zip(steps, outcomes, strict=True)
        ]

    async def _record_in_turn(self, steps: Sequence[EventStep], at: datetime) -> list[Recorded]:
        statements = list(recording.in_turn(steps, at))
        if not statements:
            return []
        instance_ids = sorted({step.caller.instance_id for step in steps})

        async def work(connection: Connection) -> list[Recorded]:
            async with connection.transaction():
                await connection.fetch(_LOCK, instance_ids)
                return [
                    outcome
                    for each in statements
                    for outcome in each.outcomes(
                        await connection.fetch(each.query, *each.arguments)
                    )
                ]

        # Several are locked beforehand: ending one locks its parent, which may be among them.
        if len(statements) == len(instance_ids) == 1:
            return await self._record(_BATCH, statements[0], instance_ids)
        async with self._turns.turn(instance_ids):
            return await self._database.run(_BATCH, work, is_repeatable=False)

    async def page(
        self, which: EventFilter, *, after_id: int = 0, limit: int = 100
    ) -> list[StoredEvent]:
        values.check_part(after_id, limit)
        # What lies between two that hold the text is read, too.
        read = self._database.read if which.text is None else self._database.read_much
        found = await read("list events", _PAGE, *_asked(which), after_id, limit)
        return [rows.event(row) for row in found]

    async def count(self, which: EventFilter) -> int:
        [row] = await self._database.read_much("count events", _COUNT, *_asked(which))
        return int(row["count"])

    async def _recognised(self, caller: Caller, event: Event, outcome: Recorded) -> Recorded:
        """Tell a `suspended` that ended the instance before from one that came too late."""
        before = outcome.before
        if (
            event.type is not EventType.SUSPENDED
            or event.blocked_reason is not None
            or outcome.after is not None
            or before is None
            or before.state is not State.CANCELLED
            or before.supersedes(caller)
        ):
            return outcome
        # Its own statement: the step's snapshot may be older than the end it found.
        found = await self._database.read(
            "read how an instance ended", _SUSPEND_ENDED_SO, caller.instance_id, event.payload
        )
        if not found or not found[0]["is_same"]:
            return outcome
        return Recorded(before, repeated=True, after=before.state)

    def _late(self, _: Collection[str]) -> DatabaseError:
        return DatabaseError(
            "Failed to store events in PostgreSQL: those told before them are still under way"
            f" after {self._database.patience:g} s"
        )

    async def _record(
        self, attempt: str, statement: recording.Statement, instance_ids: Collection[str]
    ) -> list[Recorded]:
        async with self._turns.turn(instance_ids):
            found = await self._database.write(attempt, statement.query, *statement.arguments)
        return statement.outcomes(found)


def _asked(which: EventFilter) -> tuple[object, ...]:
    return (
        which.instance_id,
        which.type,
        which.subtype,
        which.since,
        which.until,
        None if which.text is None else which.text.encode(),
    )
