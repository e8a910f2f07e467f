"""The changes of a schedule's row by each step; pure, because adapters call them in the step."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from runtara_domain.model.launches import Started
from runtara_domain.model.schedules import (
    Declaration,
    Declared,
    Fired,
    FireOutcome,
    Firing,
    Overlap,
    PausedBy,
    Schedule,
    StoredSchedule,
    shown,
)
from runtara_domain.record import record

KEPT_VERSIONS = 100
"""The most versions of the code that are stored as having declared a schedule."""


@record
class Plan:
    """The effect of a tick, as decided in its step."""

    outcome: FireOutcome
    cancels: bool = False
    problem: str | None = None


_WHILE_OPEN: Mapping[Overlap, Plan] = MappingProxyType(
    {
        Overlap.SKIP: Plan(FireOutcome.SKIPPED),
        Overlap.BUFFER_ONE: Plan(FireOutcome.BUFFERED),
        Overlap.ALLOW: Plan(FireOutcome.STARTED),
        Overlap.CANCEL_OTHER: Plan(FireOutcome.STARTED, cancels=True),
    }
)


def is_as_read(firing: Firing, found: StoredSchedule | None) -> bool:
    """Return whether a tick is still to be executed, by the locked row."""
    if found is None or found.paused_by is not None or found.revision != firing.read.revision:
        return False
    return firing.tick == (found.buffered_tick_at if firing.is_buffered else found.next_tick_at)


def plan(firing: Firing, found: StoredSchedule, *, is_earlier_open: bool) -> Plan:
    """Decide the effect of a tick."""
    if firing.problem is not None:
        return Plan(FireOutcome.REFUSED, problem=firing.problem)
    if firing.is_buffered:
        return Plan(FireOutcome.WAITS if is_earlier_open else FireOutcome.STARTED)
    if found.buffered_tick_at is not None:
        return Plan(FireOutcome.SKIPPED)
    return _WHILE_OPEN[found.schedule.overlap] if is_earlier_open else Plan(FireOutcome.STARTED)


def started(plan: Plan, found: Started) -> Plan:
    """Return a tick's plan after its start; an instance with the tick's id is the tick's own."""
    if found.image_is_found:
        return plan
    return Plan(FireOutcome.REFUSED, problem="its image is deleted: put it with another")


def cancel_reason(firing: Firing) -> str:
    """Return the reason for cancelling the instance of the earlier tick."""
    schedule = firing.read.schedule
    return f"the next tick of schedule {schedule.name!r} has come: {shown(firing.tick)}"


def outcome_of(firing: Firing, found: StoredSchedule, plan: Plan) -> Fired:
    """Return the outcome of a tick."""
    is_started = plan.outcome is FireOutcome.STARTED
    return Fired(
        outcome=plan.outcome,
        instance_id=found.schedule.instance_id(firing.tick) if is_started else None,
        cancelled_instance_id=found.last_instance_id if plan.cancels else None,
    )


def fired(firing: Firing, found: StoredSchedule, plan: Plan) -> StoredSchedule:
    """Return the row after a tick."""
    after = replace(found, problem=plan.problem)
    if plan.outcome is FireOutcome.STARTED:
        started_id = found.schedule.instance_id(firing.tick)
        after = replace(after, last_instance_id=started_id)
    if firing.is_buffered:
        return replace(after, buffered_tick_at=None)
    if plan.outcome is FireOutcome.BUFFERED:
        after = replace(after, buffered_tick_at=firing.tick)
    return replace(after, last_tick_at=firing.tick, next_tick_at=firing.next_tick_at)


def put(
    known: StoredSchedule | None,
    schedule: Schedule,
    next_tick_at: datetime | None,
    at: datetime,
) -> StoredSchedule:
    """
    Return the row of a schedule that an operator stores.

    A paused schedule stays paused. If the timing stays, so does the next tick, so that none is
    lost.
    """
    if known is None:
        # Larger than the revision of any earlier schedule of this name.
        revision = (at - _EPOCH) // timedelta(milliseconds=1)
        return StoredSchedule(
            schedule=schedule, revision=revision, created_at=at, next_tick_at=next_tick_at
        )
    return replace(_changed(known, schedule, next_tick_at), is_declared=False, code_versions=())


def declare(
    known: StoredSchedule | None, declaration: Declaration, at: datetime
) -> tuple[Declared, StoredSchedule | None]:
    """Return the outcome of a declaration, and the new row if it changes."""
    version, schedule = declaration.code_version, declaration.schedule
    if known is None:
        if schedule is None:
            return Declared.ABSENT, None
        new = put(None, schedule, declaration.next_tick_at, at)
        return Declared.CREATED, replace(new, is_declared=True, code_versions=(version,))
    if not known.is_declared:
        return (Declared.OPERATORS if schedule is not None else Declared.ABSENT), None
    if version in known.code_versions[:-1]:
        return Declared.OLDER, None
    versions = tuple(dict.fromkeys((*known.code_versions, version)))[-KEPT_VERSIONS:]
    is_gone = known.paused_by is PausedBy.CODE
    if schedule is None:
        if known.paused_by is not None:
            return Declared.UNCHANGED, _versioned(known, versions)
        paused = pause(known, PausedBy.CODE, f"version {version} of the code doesn't declare it")
        return Declared.PAUSED, replace(paused, code_versions=versions)
    if not is_gone and schedule == known.schedule:
        return Declared.UNCHANGED, _versioned(known, versions)
    if is_gone:
        known = resume(known, declaration.next_tick_at)
    changed = _changed(known, schedule, declaration.next_tick_at)
    return Declared.CHANGED, replace(changed, code_versions=versions)


def pause(known: StoredSchedule, by: PausedBy, reason: str) -> StoredSchedule:
    """Return the row of a paused schedule; a buffered tick is dropped."""
    return replace(
        known,
        paused_by=by,
        pause_reason=reason,
        next_tick_at=None,
        buffered_tick_at=None,
        revision=known.revision + 1,
    )


def resume(known: StoredSchedule, next_tick_at: datetime | None) -> StoredSchedule:
    """Return the row of a resumed schedule, with ticks from now on."""
    return replace(
        known,
        paused_by=None,
        pause_reason="",
        next_tick_at=next_tick_at,
        revision=known.revision + 1,
    )


def _changed(
    known: StoredSchedule, schedule: Schedule, next_tick_at: datetime | None
) -> StoredSchedule:
    is_same_timing = schedule.timing == known.schedule.timing
    if known.paused_by is not None or is_same_timing:
        next_tick_at = known.next_tick_at
    return replace(
        known,
        schedule=schedule,
        next_tick_at=next_tick_at,
        problem=None,
        revision=known.revision + 1,
    )


def _versioned(known: StoredSchedule, versions: tuple[str, ...]) -> StoredSchedule | None:
    return None if versions == known.code_versions else replace(known, code_versions=versions)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
