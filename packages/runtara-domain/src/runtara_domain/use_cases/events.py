"""What instances say of themselves: that they are alive, how they ended, and words of their own."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runtara_domain import values
from runtara_domain.activity import Activity
from runtara_domain.error import InvalidInstanceState, InvalidValue
from runtara_domain.model import Caller, Ending, Event, EventType
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.events import Events
from runtara_domain.ports.instances import Instances
from runtara_domain.sessions import Session
from runtara_domain.status import ANY, MOVES, OPEN, Move, State
from runtara_domain.use_cases.admission import require_admitted, require_current

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Hear that an instance's process is alive."""

    instances: Instances
    activity: Activity

    async def __call__(self, *, caller: Caller) -> None:
        before = await self.instances.standing(caller.instance_id)
        require_admitted(caller, before, OPEN, "send a heartbeat")
        self.activity.note(caller)


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Keep an event, and make the move that comes with it."""

    events: Events
    clock: Clock

    async def __call__(self, *, session: Session, caller: Caller, event: Event) -> None:
        now = self.clock.now()
        if not _EARLIEST <= event.created_at <= now + _AHEAD:
            event = replace(event, created_at=now)
        match event.type:
            case EventType.CUSTOM:
                await self._append(caller, event, now)
            case EventType.SUSPENDED:
                await self._suspend(session, caller, event, now)
            case EventType.COMPLETED | EventType.FAILED:
                await self._end(session, caller, event, now)
            case _:
                raise InvalidValue(f"event_type: an instance cannot send {event.type!r}")

    async def _append(self, caller: Caller, event: Event, now: datetime) -> None:
        recorded = await self.events.append(caller, event, when=ANY, at=now)
        require_current(caller, recorded.before)

    async def _suspend(self, session: Session, caller: Caller, event: Event, now: datetime) -> None:
        recorded = await self.events.suspend(caller, event, at=now)
        standing = require_current(caller, recorded.before)
        if recorded.after is None:
            raise InvalidInstanceState(
                f"Instance {caller.instance_id!r} is {standing.state}: to suspend, it must be"
                " running"
            )
        if recorded.after.is_final:
            session.ended(caller.instance_id)

    async def _end(self, session: Session, caller: Caller, event: Event, now: datetime) -> None:
        move = Move.COMPLETE if event.type is EventType.COMPLETED else Move.FAIL
        when = MOVES[move].sources
        recorded = await self.events.end(caller, event, ending_of(event), when=when, at=now)
        if not recorded.repeated:
            require_admitted(caller, recorded.before, when, f"say it has {event.type}")
        session.ended(caller.instance_id)


def ending_of(event: Event) -> Ending:
    """Tell how an instance has ended that says so: the payload is the output, or the error text."""
    if event.type is EventType.COMPLETED:
        return Ending(State.COMPLETED, output=event.payload)
    return Ending(
        State.FAILED, error=values.storable_text(event.payload, "(the instance gave no reason)")
    )
