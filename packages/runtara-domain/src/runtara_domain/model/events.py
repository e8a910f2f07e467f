"""Records of events."""

from datetime import datetime

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.caller import Caller, RunState
from runtara_domain.model.history import EventType
from runtara_domain.model.instances import Ending
from runtara_domain.record import record
from runtara_domain.status import Condition, State

MAX_EXIT_CODE = 255


@record
class Event:
    """
    An event that an instance reports; created_at is the time that the instance gives.

    With `suspended`: blocked_reason is why its code can't go on with this history, None if it can;
    waits are the instance's waits, as a JSON list. With `failed`: failure describes the failure for
    programs. With `completed` and `failed`: exit_code is the code with which the run's launch ends,
    if a worker executes it. With an exit code the instance's end closes this launch, too.
    """

    type: EventType
    payload: bytes
    created_at: datetime
    checkpoint_id: str | None = None
    subtype: str | None = None
    blocked_reason: str | None = None
    waits: str | None = None
    failure: bytes | None = None
    exit_code: int | None = None

    def __post_init__(self) -> None:
        values.check_bytes("payload", self.payload)
        if self.checkpoint_id is not None:
            values.check_id("checkpoint_id", self.checkpoint_id)
        if self.subtype is not None:
            values.check_text("subtype", self.subtype)
        if self.blocked_reason is not None:
            self._require("blocked_reason", EventType.SUSPENDED)
            values.check_note("blocked_reason", self.blocked_reason)
        if self.waits is not None:
            self._require("waits", EventType.SUSPENDED)
            values.check_waits("waits", self.waits)
        if self.failure is not None:
            self._require("failure", EventType.FAILED)
            values.check_bytes("failure", self.failure)
        if self.exit_code is not None:
            self._require("exit_code", EventType.COMPLETED, EventType.FAILED)
            values.check_range("exit_code", self.exit_code, 0, MAX_EXIT_CODE)

    def _require(self, field: str, *kinds: EventType) -> None:
        if self.type not in kinds:
            named = " or ".join(kinds)
            raise InvalidValue(f"{field}: belongs to the event {named}, got it with {self.type}")


@record
class Recorded:
    """
    The outcome of recording an event.

    before: the instance's state before the step; None if it is unknown. repeated: the instance had
    ended in the same way before, so nothing was done. after: its state after the step.
    is_launch_closed: of an end with an exit code, whether the caller's run has no open launch now.
    """

    before: RunState | None
    repeated: bool = False
    after: State | None = None
    is_launch_closed: bool = False


@record
class EventStep:
    """
    One event of a batch, with the core's rules for it.

    when: the states in which the event is stored; for `suspended`, the rules of `events.suspend`
    apply instead. ending: how the event ends the instance; None if it does not.
    """

    caller: Caller
    event: Event
    when: Condition
    ending: Ending | None = None
