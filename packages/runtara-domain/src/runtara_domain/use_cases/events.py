"""Heartbeats and events of instances."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from runtara_domain import values
from runtara_domain.activity import Activity
from runtara_domain.error import CoreError, InstanceSuperseded, InvalidInstanceState, InvalidValue
from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventStep,
    EventType,
    Recorded,
    Report,
    RunState,
)
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.events import Events
from runtara_domain.ports.instances import Instances
from runtara_domain.record import record
from runtara_domain.sessions import Session
from runtara_domain.status import ANY, MOVES, OPEN, Move, State
from runtara_domain.use_cases.admission import require_admitted, require_current
from runtara_domain.waits import Waits

NO_REASON = "(the instance gave no reason)"

_log = logging.getLogger(__name__)


@record
class Heartbeat:
    """Note that an instance's process is alive, and store its report."""

    instances: Instances
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, report: Report | None = None) -> None:
        if report is None:
            hear(self.activity, caller, await self.instances.run_state(caller.instance_id))
            return
        before = await self.instances.report(caller, report, when=OPEN, at=self.clock.now())
        require_admitted(caller, before, OPEN, "report")


def hear(activity: Activity, caller: Caller, before: RunState | None) -> None:
    """Note a heartbeat as a sign of life; raises an error if the instance does not admit it."""
    require_admitted(caller, before, OPEN, "send a heartbeat")
    activity.note(caller)


@record
class RecordEvent:
    """Store an event, and make its move."""

    events: Events
    waits: Waits
    clock: Clock

    async def __call__(self, *, session: Session, caller: Caller, event: Event) -> Recorded:
        now = self.clock.now()
        step = event_step(caller, event, now)
        recorded = await self._record(step, now)
        judge(step, recorded)
        follow(session, self.waits, step, recorded)
        return recorded

    async def _record(self, step: EventStep, now: datetime) -> Recorded:
        caller, event = step.caller, step.event
        if step.ending is not None:
            return await self.events.end(caller, event, step.ending, when=step.when, at=now)
        if event.type is EventType.SUSPENDED:
            return await self.events.suspend(caller, event, at=now)
        return await self.events.append(caller, event, when=step.when, at=now)


@record
class RecordEvents:
    """
    Store a batch of events in one transaction. It skips events that can't be stored, and counts
    them in one line of the log, with those that were refused before.
    """

    events: Events
    instances: Instances
    waits: Waits
    activity: Activity
    clock: Clock

    async def __call__(
        self,
        *,
        session: Session,
        entries: Sequence[tuple[Caller, Event]],
        heartbeats: Sequence[Caller] = (),
        refused: Sequence[CoreError] = (),
    ) -> None:
        now = self.clock.now()
        steps = [event_step(caller, event, now) for caller, event in entries]
        outcomes = await self.events.record_all(steps, at=now)
        refusals = [
            *refused,
            *self._follow(session, steps, outcomes),
            *await self._hear(heartbeats),
        ]
        if refusals:
            # One line for all: a batch of small events may have thousands.
            _log.warning("events of a batch skipped: %d, the first: %s", len(refusals), refusals[0])
        for refusal in refusals:
            if isinstance(refusal, InstanceSuperseded):
                raise refusal

    def _follow(
        self, session: Session, steps: Sequence[EventStep], outcomes: Sequence[Recorded]
    ) -> Iterator[CoreError]:
        for step, recorded in zip(steps, outcomes, strict=True):
            try:
                judge(step, recorded)
                follow(session, self.waits, step, recorded)
            except CoreError as error:
                yield error

    async def _hear(self, heartbeats: Sequence[Caller]) -> list[CoreError]:
        refusals: list[CoreError] = []
        if not heartbeats:
            return refusals
        run_states = await self.instances.run_states({each.instance_id for each in heartbeats})
        for caller in heartbeats:
            try:
                hear(self.activity, caller, run_states.get(caller.instance_id))
            except CoreError as error:
                refusals.append(error)
        return refusals


def event_step(caller: Caller, event: Event, now: datetime) -> EventStep:
    """Return an event with the states in which it is stored, and the end that it brings."""
    event = replace(
        event,
        created_at=values.clamp_timestamp(event.created_at, now),
        # The column has a reason if and only if the instance is blocked.
        blocked_reason=NO_REASON if event.blocked_reason == "" else event.blocked_reason,
    )
    match event.type:
        case EventType.CUSTOM:
            return EventStep(caller, event, ANY)
        case EventType.SUSPENDED:
            return EventStep(caller, event, OPEN)
        case EventType.COMPLETED:
            return EventStep(caller, event, MOVES[Move.COMPLETE].sources, ending_of(event))
        case EventType.FAILED:
            return EventStep(caller, event, MOVES[Move.FAIL].sources, ending_of(event))
        case _:
            raise InvalidValue(f"event_type: an instance cannot send '{event.type}'")


def judge(step: EventStep, recorded: Recorded) -> None:
    """Raise InstanceNotFound, InstanceSuperseded or InvalidInstanceState if it was not stored."""
    run_state = require_current(step.caller, recorded.before)
    if recorded.repeated:
        return
    require_admitted(step.caller, run_state, step.when, f"record the event {step.event.type}")
    if recorded.after is None and step.ending is not None:
        raise InstanceSuperseded(
            f"Instance {step.caller.instance_id!r} was reopened and waits for its next run: this"
            " process must stop"
        )
    if recorded.after is None:
        raise InvalidInstanceState(
            f"Instance {step.caller.instance_id!r} is {run_state.state}: to suspend, it must be"
            " running"
        )


def follow(session: Session, waits: Waits, step: EventStep, recorded: Recorded) -> None:
    """Update the session's slots and the waits of an instance that an event moved."""
    if step.event.type is EventType.CUSTOM:
        return
    if recorded.after is not None and recorded.after.is_final:
        session.ended(step.caller.instance_id, is_launch_closed=recorded.is_launch_closed)
    waits.recheck([step.caller.instance_id])


def ending_of(event: Event) -> Ending:
    """
    Return the ending that an event reports: its payload is the output, or the error's text.

    The output of a failed instance is the failure as programs read it.
    """
    if event.type is EventType.COMPLETED:
        return Ending(State.COMPLETED, output=event.payload)
    error = values.storable_text(event.payload, NO_REASON)
    return Ending(State.FAILED, output=event.failure, error=error)
