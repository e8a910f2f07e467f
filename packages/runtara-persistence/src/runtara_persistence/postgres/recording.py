"""The statements that store events, each with a function that reads its rows as outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import asyncpg

from runtara_domain.model import Ending, EventType, Recorded, ending_signal
from runtara_domain.model.launches import KEPT_LAUNCHES
from runtara_domain.model.reopening import REOPENED
from runtara_domain.record import record
from runtara_domain.status import MOVES, Move, SignalType, State, settle
from runtara_persistence import queries, records
from runtara_persistence.postgres import rows

if TYPE_CHECKING:
    from runtara_domain.model import Caller, Event, EventStep

_SQL = queries.load("runtara_persistence.postgres", "events.sql")

_NOTHING = ""
_SETTLED = [
    (state.value, pending or _NOTHING, after.value)
    for state in State
    for pending in (None, *SignalType)
    if (after := settle(state, pending)) is not None
]
"""The domain's table: the state before, the pending signal, and the state after."""
_SETTLING = [list(column) for column in zip(*_SETTLED, strict=True)]
_BLOCK = MOVES[Move.BLOCK]
_BLOCKED = [
    (state.value, pending or _NOTHING, _BLOCK.target.value)
    for state in _BLOCK.sources
    for pending in (None, *SignalType)
]
_BLOCKING = [list(column) for column in zip(*_BLOCKED, strict=True)]


@record
class Statement:
    """A query with its arguments; `outcomes` reads its rows as one outcome for each step."""

    query: str
    arguments: tuple[object, ...]
    outcomes: Callable[[Sequence[asyncpg.Record]], list[Recorded]]


def in_turn(steps: Sequence[EventStep], at: datetime) -> Iterator[Statement]:
    """Make statements in the steps' order; neighbouring steps that only append share one."""
    for is_append, neighbours in groupby(steps, key=only_appends):
        if is_append:
            yield _append(list(neighbours), at)
        else:
            yield from (_moving(step, at) for step in neighbours)


def only_appends(step: EventStep) -> bool:
    """Whether a step only stores an event and changes no instance's state."""
    return step.ending is None and step.event.type is not EventType.SUSPENDED


def _append(steps: Sequence[EventStep], at: datetime) -> Statement:
    events = [step.event for step in steps]
    arguments = (
        [step.caller.instance_id for step in steps],
        [step.caller.run for step in steps],
        [rows.states_text(step.when) for step in steps],
        [event.type for event in events],
        [event.checkpoint_id for event in events],
        [event.subtype for event in events],
        [event.created_at for event in events],
        [event.payload for event in events],
        at,
    )
    return Statement(_SQL["append"], arguments, lambda found: [_appended(row) for row in found])


def _end(step: EventStep, ending: Ending, at: datetime) -> Statement:
    caller, event = step.caller, step.event
    arguments = (
        caller.instance_id,
        caller.run,
        rows.states(step.when),
        ending.state.status,
        ending.output,
        ending.error,
        at,
        event.type,
        *_details(event),
        *ending_signal(caller.instance_id, ending),
        REOPENED,
        event.exit_code,
        KEPT_LAUNCHES,
    )

    def outcomes(found: Sequence[asyncpg.Record]) -> list[Recorded]:
        return [_ended(row, ending.state) for row in found] or [Recorded(before=None)]

    return Statement(_SQL["end"], arguments, outcomes)


def _suspend(caller: Caller, event: Event, at: datetime) -> Statement:
    leading = _SETTLING if event.blocked_reason is None else _BLOCKING
    told = ending_signal(caller.instance_id, Ending(State.CANCELLED))
    said = (event.blocked_reason, event.waits)
    arguments = (caller.instance_id, caller.run, *leading, at, *_details(event), *told, *said)

    def outcomes(found: Sequence[asyncpg.Record]) -> list[Recorded]:
        return [_suspended(row) for row in found] or [Recorded(before=None)]

    return Statement(_SQL["suspend"], arguments, outcomes)


def _moving(step: EventStep, at: datetime) -> Statement:
    if step.ending is None:
        return _suspend(step.caller, step.event, at)
    return _end(step, step.ending, at)


def _details(event: Event) -> tuple[object, ...]:
    return event.checkpoint_id, event.payload, event.subtype, event.created_at


def _appended(row: asyncpg.Record) -> Recorded:
    if row["state"] is None:
        return Recorded(before=None)
    before = records.run_state(row)
    return Recorded(before, after=before.state if row["is_admitted"] else None)


def _ended(row: asyncpg.Record, state: State) -> Recorded:
    is_ended = row["is_repeated"] or row["is_admitted"]
    return Recorded(
        records.run_state(row),
        row["is_repeated"],
        state if is_ended else None,
        is_ended and row["is_launch_closed"],
    )


def _suspended(row: asyncpg.Record) -> Recorded:
    after = None if row["after"] is None else State(row["after"])
    return Recorded(records.run_state(row), after=after)
