"""The states of an instance, and the table of every move between them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self, TypeAlias

from runtara_domain.record import record


class InstanceStatus(StrEnum):
    """The status in the database and on the wire."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class State(StrEnum):
    """
    A status, with SUSPENDED divided: an asleep instance has a time to wake, a paused one has none.
    """

    PENDING = "pending"
    RUNNING = "running"
    ASLEEP = "asleep"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, status: InstanceStatus, sleep_until: datetime | None) -> Self:
        """Return the state from the two columns that hold it."""
        if status is InstanceStatus.SUSPENDED:
            return cls("paused" if sleep_until is None else "asleep")
        return cls(status.value)

    @property
    def status(self) -> InstanceStatus:
        """The status of this state in the database and on the wire."""
        if self in (State.ASLEEP, State.PAUSED):
            return InstanceStatus.SUSPENDED
        return InstanceStatus(self.value)

    @property
    def is_final(self) -> bool:
        """Whether only an operator's reopen leaves this state."""
        return self in FINAL


Condition: TypeAlias = frozenset[State]
"""The states in which a step applies; in other states it changes nothing, as its outcome shows."""

ANY: Condition = frozenset(State)
FINAL: Condition = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
OPEN: Condition = ANY - FINAL
WORKING: Condition = frozenset({State.RUNNING, State.ASLEEP})
"""The states of an instance whose process may run."""


class Move(StrEnum):
    """Everything that can change the state of an instance."""

    REGISTER = "register"
    SLEEP = "sleep"
    STIR = "stir"
    WAKE = "wake"
    PAUSE = "pause"
    SUSPEND = "suspend"
    COMPLETE = "complete"
    FAIL = "fail"
    BLOCK = "block"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    REOPEN = "reopen"


@record
class Rule:
    """The states from which a move may start, and its target."""

    sources: Condition
    target: State


MOVES: Mapping[Move, Rule] = MappingProxyType(
    {
        # The instance registers: first start, restart after a crash, wake, resume.
        Move.REGISTER: Rule(OPEN, State.RUNNING),
        # The instance begins a durable sleep.
        Move.SLEEP: Rule(WORKING, State.ASLEEP),
        # While asleep, its own run saves or finds a checkpoint: another branch runs.
        Move.STIR: Rule(frozenset({State.ASLEEP}), State.RUNNING),
        # A sleep held by this server is due.
        Move.WAKE: Rule(frozenset({State.ASLEEP}), State.RUNNING),
        # The instance acknowledges a pause.
        Move.PAUSE: Rule(WORKING, State.PAUSED),
        # The instance reports `suspended`, without a pending pause.
        Move.SUSPEND: Rule(frozenset({State.RUNNING}), State.PAUSED),
        # The instance reports its end.
        Move.COMPLETE: Rule(WORKING, State.COMPLETED),
        Move.FAIL: Rule(WORKING, State.FAILED),
        # The instance, or its environment, reports that its code can't go on with its history.
        Move.BLOCK: Rule(OPEN, State.PAUSED),
        # The instance acknowledges a cancel. A PENDING one ends when the cancel is sent.
        Move.CANCEL: Rule(OPEN, State.CANCELLED),
        # An operator or the environment ends it from outside.
        Move.TERMINATE: Rule(OPEN, State.CANCELLED),
        # An operator retries it: the only move that leaves a final state.
        Move.REOPEN: Rule(frozenset({State.FAILED, State.CANCELLED}), State.ASLEEP),
    }
)


class SignalType(StrEnum):
    """A signal to an instance; at most one is pending at a time."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


def acknowledge(state: State, pending: SignalType) -> State | None:
    """
    Return where acknowledging the pending signal leads an instance in this state.

    None: the state stays, and the signal stays pending. That is so for a resume while paused: only
    registering acknowledges it, because otherwise nothing would wake the instance.
    """
    match pending:
        case SignalType.CANCEL if state in MOVES[Move.CANCEL].sources:
            return MOVES[Move.CANCEL].target
        case SignalType.PAUSE if state in MOVES[Move.PAUSE].sources | {State.PAUSED}:
            return MOVES[Move.PAUSE].target
        case SignalType.RESUME if state in OPEN - {State.PAUSED}:
            return state
        case _:
            return None


def replaces(sent: SignalType, pending: SignalType | None) -> bool:
    """Return whether a signal replaces the pending one; only a cancel replaces a cancel."""
    return pending is not SignalType.CANCEL or sent is SignalType.CANCEL


def settle(state: State, pending: SignalType | None) -> State | None:
    """
    Return where `suspended` leads an instance in this state with this signal pending.

    None: `suspended` is refused. It acknowledges a pending cancel or pause. A resume stays pending,
    so that the suspended instance is due at once.
    """
    if pending in (SignalType.CANCEL, SignalType.PAUSE):
        return acknowledge(state, pending)
    if state in MOVES[Move.SUSPEND].sources:
        return MOVES[Move.SUSPEND].target
    return state if state.status is InstanceStatus.SUSPENDED else None
