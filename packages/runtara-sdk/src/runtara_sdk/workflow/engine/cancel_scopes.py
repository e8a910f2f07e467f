"""
Cancel scopes: what may cancel the durable calls of a branch, and what has.

A scope is a timeout, a group, the whole of a branch, or what a branch left behind when it returned.
Everything that a scope knows of being cancelled is its state; TABLE has every way from one to the
next. A branch's `ScopeStack` goes them all but one: `Cancellation` and a failing group request.

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
    """How far the cancellation of a scope has come."""

    ARMED = auto()
    REQUESTED = auto()
    UNSEEN = auto()
    DELIVERED = auto()
    CLOSED = auto()


class Event(Enum):
    """What may happen to a scope."""

    REQUEST = auto()
    RAISED = auto()  # in the branch's own task
    RAISED_ELSEWHERE = auto()  # in a task of asyncio's
    SEEN = auto()  # the branch handles a CancelledError
    REPLACED = auto()  # by an ExceptionGroup
    CLOSE = auto()


_BEGINNING = {
    Event.REQUEST: State.REQUESTED,
    # Without a request: a replay, or a deadline whose timer was not there yet.
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
"""What is not in it changes nothing."""


@dataclass(eq=False, slots=True)
class CancelScope:
    """
    What may cancel the durable calls made in it, at `deadline` if not before.

    `key` is what the cancellation is recorded with. `entered_at`: how many scopes had been
    delivered to the branch when it entered this one. `by_foreign_call`: what was cancelled first
    was a call that a foreign task made.
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

        A task group of asyncio's ends without a word when its tasks are cancelled.
        """
        return self.state is State.UNSEEN and self.by_foreign_call

    def move(self, event: Event) -> None:
        """Go the way that the table has for an event, if it has one."""
        self.state = TABLE[self.state].get(event, self.state)

    def request(self) -> None:
        """Let the scope cancel what runs in it, or else the next call that will."""
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

    `whole` cancels the whole branch: at the instance's cancel, or at the end of the branch's group.
    `leftover` cancels what the branch left running in tasks of asyncio's when it returned.
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
        """Whether the end of the whole branch has been raised in it."""
        return self.whole.state in (State.UNSEEN, State.DELIVERED)

    def pending(self) -> tuple[CancelScope, ...]:
        """The scopes that may still cancel the branch."""
        return tuple(one for one in self._entered if one.state is not State.DELIVERED)

    def enter(self, scope: CancelScope) -> None:
        """Let the calls made from here on be cancelled by a scope."""
        scope.entered_at = len(self._delivered)
        self._entered.append(scope)

    def exit(self, scope: CancelScope, error: BaseException | None) -> list[CancelScope]:
        """Close a scope; gives those that were delivered since it was entered, perhaps itself."""
        self.mark_seen(error)
        delivered = self._delivered[scope.entered_at :]
        self._entered.remove(scope)
        self._move(scope, Event.CLOSE)
        scope.deadline = None
        return delivered

    def mark_raised(self, key: str, *, in_own_task: bool, by_foreign_call: bool = False) -> None:
        """Note that a scope's cancellation was raised in this branch."""
        scope = next((one for one in self._entered if one.key == key), None)
        # A call that was left behind has no code in the branch to see its cancellation.
        if scope is not None and scope is not self.leftover:
            if scope.state in (State.ARMED, State.REQUESTED):
                scope.by_foreign_call = by_foreign_call
            self._move(scope, Event.RAISED if in_own_task else Event.RAISED_ELSEWHERE)

    def mark_seen(self, error: BaseException | None) -> None:
        """Note that the branch has an error: a CancelledError shows it what it had not seen."""
        if is_a(error, asyncio.CancelledError):
            for scope in self._entered:
                self._move(scope, Event.SEEN)

    def request_again(self, inside: CancelScope) -> None:
        """Let scopes delivered inside this one cancel again: an ExceptionGroup took their place."""
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
