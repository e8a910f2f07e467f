"""Places: the durable calls of a workflow, in their branches and scopes."""

import asyncio
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runtara_sdk.workflow.engine.keys import OWN, Numbers, escaped, joined
from runtara_sdk.workflow.engine.records import Entry, Kind
from runtara_sdk.workflow.errors import WorkflowError
from runtara_sdk.workflow.user_objects import is_a
from runtara_sdk.workflow.values.arguments import LiveCall
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.identity import Identity

CANCEL = "cancel"
"""What strikes when the instance was told to cancel; everything else that does is a scope's key."""


@dataclass(eq=False, slots=True)
class Scope:
    """
    What may strike the durable calls made in it: a timeout, a group, or what ends a whole branch.

    `wanted`: it shall strike, as it shall from `until` on. `missed`: it has, but the branch did not
    see it; then it strikes again. `before`: how many had struck the branch when it was entered.
    """

    key: str
    until: datetime | None = None
    wanted: bool = False
    missed: bool = False
    before: int = 0

    def is_due(self, now: datetime) -> bool:
        """Tell whether it shall strike by now."""
        return self.wanted or (self.until is not None and self.until <= now)

    def is_over(self, before: datetime) -> bool:
        """Tell whether its time comes before this moment."""
        return self.until is not None and self.until < before


@dataclass(eq=False, slots=True)
class Branch:
    """
    A sequence of durable calls, made by one task; the workflow's own has an empty path.

    `scopes` are those that it is in, `whole` the outermost of them: the instance's cancel, or the
    end of the branch's group; `end` strikes what it leaves under way when it has ended. `struck`
    are those whose strike the branch has seen, in that order; `outer` are those that its group is
    in. `is_joined`: the group ended in an earlier run, so nothing in the branch can be new.
    `landed`: when a call that was handed over ended last.
    """

    path: str
    numbers: Numbers
    whole: Scope
    outer: tuple[Scope, ...] = ()
    is_joined: bool = False
    task: "asyncio.Task[object] | None" = None
    position: int = 0
    landed: datetime | None = None
    scopes: list[Scope] = field(default_factory=list)
    struck: list[Scope] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    end: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.end = Scope(joined(self.path, f"{OWN}end"))
        self.scopes += [self.whole, self.end]

    def place(
        self,
        name: str,
        *,
        key: str | None = None,
        step: Identity | None = None,
        is_counted: bool = True,
    ) -> "Place":
        """Take the place of a call that is made now; a key that is given is not counted."""
        old: tuple[str, ...] = ()
        if key is None:
            own = self.numbers.call(name)
            number = own[own.rindex("#") :]
            before = () if step is None else step.was
            old = tuple(joined(self.path, escaped(one)) + number for one in before)
        else:
            own, is_counted = self._given(key), False
        if is_counted:
            self.position += 1
        at = self.position if is_counted else None
        handled = sys.exception()
        self.saw(handled)
        return Place(own, self, self, at, step, old, is_clean_up=handled is not None)

    @property
    def is_struck(self) -> bool:
        """Tell whether what ends the whole branch has been thrown in it."""
        return self.whole.missed or self.whole in self.struck

    def unsettled(self) -> tuple[Scope, ...]:
        """What strikes what is begun here now, when its time comes."""
        return self.outer + tuple(scope for scope in self.scopes if scope not in self.struck)

    def enter(self, scope: Scope) -> None:
        """Let the calls made from here on be struck by a scope."""
        scope.before = len(self.struck)
        self.scopes.append(scope)

    def exit(self, scope: Scope, error: BaseException | None) -> list[Scope]:
        """End a scope; gives it, if it struck, and the outer ones that struck in it."""
        self.saw(error)
        struck = self.struck[scope.before :]
        self.scopes.remove(scope)
        if scope in struck:
            self.struck.remove(scope)
        return struck

    def settle(self, by: str, *, is_seen: bool) -> None:
        """Note that it was thrown in this branch, in its own task (seen) or in another."""
        scope = next((scope for scope in self.scopes if scope.key == by), None)
        # What its end strikes has nobody in it to see that: in a replay it comes before the end.
        if scope is None or scope is self.end or scope in self.struck:
            return
        scope.wanted, scope.missed = True, not is_seen
        if is_seen:
            self.struck.append(scope)

    def saw(self, error: BaseException | None) -> None:
        """Note that the branch has an error: a CancelledError shows it what it had missed."""
        if is_a(error, asyncio.CancelledError):
            for scope in self.scopes:
                if scope.missed:
                    self.settle(scope.key, is_seen=True)

    def rearm(self, inside: Scope) -> None:
        """Let outer scopes that struck inside this one strike again: other errors took over."""
        for scope in self.struck[inside.before :]:
            self.struck.remove(scope)
            scope.missed = True

    def _given(self, key: str) -> str:
        own = joined(self.path, escaped(key))
        if own in self.keys:
            raise WorkflowError(
                f"the key {key!r} is taken by a call before this one: give each call of .keyed(...)"
                " a key of its own, or leave it out"
            )
        self.keys.add(own)
        return own


@dataclass(eq=False, slots=True)
class Wait:
    """
    A place that waits and could as well wait in another process.

    `ended` becomes None when the wait is over, else the key of what struck. `until`: when it is
    over by itself, and `key` what that is saved under, if it is. `since`: when it began. `is_open`:
    it waits for somebody, who may be quick. `is_pause`: it waits because the instance is to pause.
    """

    ended: "asyncio.Future[str | None]"
    since: datetime
    until: datetime | None = None
    key: str | None = None
    is_open: bool = False
    is_pause: bool = False

    def end(self, by: str | None = None) -> None:
        """End it, unless it has ended."""
        if not self.ended.done():
            self.ended.set_result(by)


@dataclass(eq=False, slots=True)
class Place:
    """
    One durable call: its key, and where it stands among the calls of its branch.

    `at` is None for a call with a key of its own; `step` is what is called and `call` how, if it is
    a step, and `signal` what a promise waits for. `runner` is the branch whose time it takes, which
    is another than `branch` if the call was handed over, and `scopes` are the runner's; both are
    known when it is live. `is_clean_up`: it was called where an exception was being handled, and
    `is_handed_over`: it is awaited in a task of asyncio's, not in the branch's own. While
    it works, `task` is what to cancel if it may be interrupted; `by` is what struck it.
    """

    key: str
    branch: Branch
    runner: Branch
    at: int | None = None
    step: Identity | None = None
    was: tuple[str, ...] = ()
    is_clean_up: bool = False
    is_handed_over: bool = False
    scopes: tuple[Scope, ...] = ()
    call: LiveCall | None = None
    signal: str | None = None
    wait: Wait | None = None
    task: "asyncio.Task[object] | None" = None
    by: str | None = None

    def entry(
        self, kind: Kind, value: bytes, nth: int | None = None, form: Form = Form.NAMES
    ) -> Entry:
        """What is saved under its key, with all that a replay compares."""
        call = None if self.call is None else self.call.call
        step = None if self.step is None else self.step.function
        return Entry(kind, value, self.at, call, nth, form, step, self.signal)

    def beside(self, what: str) -> str:
        """The key of something saved beside it."""
        return f"{self.key}!{what}"

    def open_scopes(self) -> list[Scope]:
        """What may strike it yet: once each, and twice what was missed, but not in clean-up."""
        return [
            scope
            for scope in self.scopes
            if scope not in self.runner.struck and not (scope.missed and self.is_clean_up)
        ]

    def striker(self, now: datetime) -> str | None:
        """What strikes this place if it is live now, the first that was due; None: nothing does."""
        due = [scope for scope in self.open_scopes() if scope.is_due(now)]
        return min(due, key=_due_since).key if due else None

    def overslept(self, until: datetime) -> str | None:
        """What struck it if it waited until then: perhaps no process was there to see that."""
        own = [scope for scope in self.open_scopes() if scope.is_over(until)]
        if own:
            return min(own, key=_due_since).key
        whole = self.runner.whole
        is_late = any(scope.is_over(until) for scope in self.runner.outer)
        return whole.key if is_late and whole in self.open_scopes() else None

    def is_deadline(self, by: str) -> bool:
        """Tell whether a timeout strikes, and not the end of the branch."""
        return any(scope.key == by and scope.until is not None for scope in self.scopes)

    def strike(self, by: str) -> None:
        """Throw at it, if it waits or may be interrupted; else a later place is struck."""
        if self.wait is not None:
            self.wait.end(by)
        elif self.task is not None and self.by is None:
            self.by = by
            self.task.cancel()


def _due_since(scope: Scope) -> datetime:
    return scope.until or _EVER


_EVER = datetime.min.replace(tzinfo=UTC)
