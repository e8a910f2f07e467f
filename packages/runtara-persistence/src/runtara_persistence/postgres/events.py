"""Events in PostgreSQL, and the moves that come with some of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from runtara_domain import model, values
from runtara_domain.status import ANY, State
from runtara_persistence import queries, records
from runtara_persistence.postgres.database import OnDatabase

if TYPE_CHECKING:
    from runtara_domain.model import (
        Caller,
        Ending,
        Event,
        EventFilter,
        EventStep,
        Recorded,
        StoredEvent,
    )
    from runtara_domain.status import Condition
    from runtara_persistence.postgres.event_queue import EventQueue

_SQL = queries.load("runtara_persistence.postgres", "events.sql")


class PostgresEvents(OnDatabase):
    """Fits `runtara_domain.ports.events.Events`."""

    @cached_property
    def _queue(self) -> EventQueue:
        # Only now: to read events needs no queue.
        from runtara_persistence.postgres.event_queue import EventQueue

        return EventQueue(self._database)

    async def append(
        self, caller: Caller, event: Event, *, when: Condition, at: datetime
    ) -> Recorded:
        return await self._record("store an event", model.EventStep(caller, event, when), at)

    async def end(
        self, caller: Caller, event: Event, ending: Ending, *, when: Condition, at: datetime
    ) -> Recorded:
        return await self._record(
            "end an instance", model.EventStep(caller, event, when, ending), at
        )

    async def suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        # ANY: the domain's moves, which depend on the pending signal, say which states are allowed.
        return await self._record("suspend an instance", model.EventStep(caller, event, ANY), at)

    async def record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        if not steps:
            return []
        outcomes = await self._queue.record("store a batch of events", steps, at)
        return [
            await self._recognised(step, outcome)
            for step, outcome in zip(steps, outcomes, strict=True)
        ]

    async def page(
        self, which: EventFilter, *, after_id: int = 0, offset: int = 0, limit: int = 100
    ) -> list[StoredEvent]:
        values.check_part(after_id, limit, offset)
        # A search for a text reads all events between two that hold it, so it may take longer.
        read = self._database.read if which.text is None else self._database.read_much
        found = await read("list events", _SQL["page"], *_asked(which), after_id, limit, offset)
        return [records.event(row) for row in found]

    async def count(self, which: EventFilter) -> int:
        [row] = await self._database.read_much("count events", _SQL["count"], *_asked(which))
        return int(row["count"])

    async def _record(self, attempt: str, step: EventStep, at: datetime) -> Recorded:
        [outcome] = await self._queue.record(attempt, [step], at)
        return await self._recognised(step, outcome)

    async def _recognised(self, step: EventStep, outcome: Recorded) -> Recorded:
        """Recognise a repeated `suspended`: the same event has ended the instance before."""
        event, before = step.event, outcome.before
        if (
            event.type is not model.EventType.SUSPENDED
            or step.ending is not None
            or event.blocked_reason is not None
            or outcome.after is not None
            or before is None
            or before.state is not State.CANCELLED
            or before.supersedes(step.caller)
        ):
            return outcome
        # In a statement of its own: the step's snapshot may be older than the end that it found.
        found = await self._database.read(
            "read an instance's end",
            _SQL["suspend.ended_so"],
            step.caller.instance_id,
            event.payload,
        )
        if not found or not found[0]["is_same"]:
            return outcome
        return model.Recorded(before, repeated=True, after=before.state)


def _asked(which: EventFilter) -> tuple[object, ...]:
    return (
        which.instance_id,
        which.type,
        which.subtype,
        which.since,
        which.until,
        None if which.text is None else which.text.encode(),
    )
