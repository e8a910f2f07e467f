"""
Cancel scopes: the scopes that can cancel a branch's durable calls, and their states.

A scope is a timeout, a group, a whole branch, or the calls that a branch left running when it
returned. Its state says how far a cancellation has come, and TABLE has all transitions. A branch's
`ScopeStack` makes all of them but the request, which `Cancellation` and a failing group make.

    ARMED      nothing has happened; a deadline may be near.
    REQUESTED  the scope shall cancel what runs in it: its deadline has come, a branch of its group
               has failed, or the instance is to be cancelled.
    UNSEEN     CancelledError was raised, but in a task of asyncio's that may have swallowed it, or
               an ExceptionGroup took its place: it is raised again at the branch's next call,
               unless that is made in an `except` or a `finally`.
    DELIVERED  the branch has seen the error: the scope cancels nothing more in it.
    CLOSED     the branch has left the scope.

The order in which scopes were delivered counts too. A timeout makes a TimeoutError only of its own
cancellation: not of an outer one that was delivered after the timeout was entered. A group that
raises an ExceptionGroup hides those that were delivered inside it, and they are requested again.
So a stack keeps the delivered scopes in order, and a scope knows how many there were at its entry.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from runtara_sdk.workflow.user_objects import is_a


class State(Enum):
    """The progress of a scope's cancellation."""

    ARMED = auto()
    REQUESTED = auto()
    UNSEEN = auto()
    DELIVERED = auto()
    CLOSED = auto()


class Event(Enum):
    """An event that may change a scope's state."""

    REQUEST = auto()
    RAISED = auto()  # in the branch's own task
    RAISED_ELSEWHERE = auto()  # in a task of asyncio's
    SEEN = auto()  # the branch handles a CancelledError
    REPLACED = auto()  # by an ExceptionGroup
    CLOSE = auto()


_BEGINNING = {
    Event.REQUEST: State.REQUESTED,
    # Without a request: on a replay, or at a deadline before its timer was set.
    Event.RAISED: State.DELIVERED,
    Event.RAISED_ELSEWHERE: State.UNSEEN,
    Event.CLOSE: State.CLOSED,
}

TABLE: Mapping[State, Mapping[Event, State]] = {
    State.ARMED: _BEGINNING,
    State.REQUESTED: _BEGINNING,
    State.UNSEEN: {
        Event.RAISED: State.DELIVERED,
        Event.SEEN: State.DELIVERED,
        Event.CLOSE: State.CLOSED,
    },
    State.DELIVERED: {Event.REPLACED: State.UNSEEN, Event.CLOSE: State.CLOSED},
    State.CLOSED: {},
}
"""Events that are not in the table change nothing."""


@dataclass(eq=False, slots=True)
class CancelScope:
    """
    A scope that can cancel the durable calls made in it, at `deadline` or earlier.

    `key` is the key that a cancellation's record has. `entered_at`: how many scopes had been
    delivered to the branch when it entered this one. `by_foreign_call`: the first
    cancelled call was a foreign task's.
    """

    key: str
    deadline: datetime | None = None
    state: State = State.ARMED
    entered_at: int = 0
    by_foreign_call: bool = False

    @property
    def is_hidden(self) -> bool:
        """
        Whether it has cancelled calls of foreign tasks, and their branch has not seen it.

        A task group of asyncio ends without an error when its tasks are cancelled.
        """
        return self.state is State.UNSEEN and self.by_foreign_call

    def move(self, event: Event) -> None:
        """Make the table's transition for an event, if there is one."""
        self.state = TABLE[self.state].get(event, self.state)

    def request(self) -> None:
        """Let the scope cancel the calls that run in it, or else its next call."""
        self.move(Event.REQUEST)

    def is_due(self, now: datetime) -> bool:
        """Return whether the scope shall cancel a call that is live now."""
        return self.state in (State.REQUESTED, State.UNSEEN) or (
            self.deadline is not None and self.deadline <= now
        )

    def expires_before(self, moment: datetime) -> bool:
        """Return whether its deadline comes before this moment."""
        return self.deadline is not None and self.deadline < moment


class ScopeStack:
    """
    The scopes that one branch is in, outermost first, and those delivered to it, in that order.

    `whole` cancels the whole branch: at the instance's cancel, or when its group cancels it.
    `leftover` cancels the calls in tasks of asyncio that the branch left running at its end.
    """

    def __init__(self, whole: CancelScope, leftover: CancelScope) -> None:
        self.whole = whole
        self.leftover = leftover
        self._entered = [whole, leftover]
        self._delivered: list[CancelScope] = []

    def __iter__(self) -> Iterator[CancelScope]:
        return iter(self._entered)

    @property
    def was_cancelled(self) -> bool:
        """Whether the cancellation of the whole branch was raised in it."""
        return self.whole.state in (State.UNSEEN, State.DELIVERED)

    def pending(self) -> tuple[CancelScope, ...]:
        """The scopes that may still cancel the branch."""
        return tuple(one for one in self._entered if one.state is not State.DELIVERED)

    def enter(self, scope: CancelScope) -> None:
        """Enter a scope, which can cancel the calls made from here on."""
        scope.entered_at = len(self._delivered)
        self._entered.append(scope)

    def exit(self, scope: CancelScope, error: BaseException | None) -> list[CancelScope]:
        """Close a scope; return the scopes delivered since its entry, perhaps with itself."""
        self.mark_seen(error)
        delivered = self._delivered[scope.entered_at :]
        self._entered.remove(scope)
        self._move(scope, Event.CLOSE)
        scope.deadline = None
        return delivered

    def mark_raised(self, key: str, *, in_own_task: bool, by_foreign_call: bool = False) -> None:
        """Note that a scope's cancellation was raised in this branch."""
        scope = next((one for one in self._entered if one.key == key), None)
        # The branch has no code that could see the cancellation of a call that it left behind.
        if scope is not None and scope is not self.leftover:
            if scope.state in (State.ARMED, State.REQUESTED):
                scope.by_foreign_call = by_foreign_call
            self._move(scope, Event.RAISED if in_own_task else Event.RAISED_ELSEWHERE)

    def mark_seen(self, error: BaseException | None) -> None:
        """Note that the branch handles an error: a CancelledError makes UNSEEN scopes DELIVERED."""
        if is_a(error, asyncio.CancelledError):
            for scope in self._entered:
                self._move(scope, Event.SEEN)

    def request_again(self, inside: CancelScope) -> None:
        """Request scopes delivered inside this one again: an ExceptionGroup hid their error."""
        for scope in self._delivered[inside.entered_at :]:
            self._move(scope, Event.REPLACED)

    def _move(self, scope: CancelScope, event: Event) -> None:
        before = scope.state
        scope.move(event)
        if scope.state is before:
            return
        if before is State.DELIVERED:
            self._delivered.remove(scope)
        if scope.state is State.DELIVERED:
            self._delivered.append(scope)
