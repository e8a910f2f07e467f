"""Places: the durable calls of a workflow, in their branches and scopes."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from runtara_sdk.workflow.keys import Numbers, escaped, joined

CANCEL = "cancel"
"""What strikes when the instance was told to cancel; everything else that does is a scope's key."""


@dataclass(eq=False, slots=True)
class Scope:
    """
    A timeout or a group, whose key strikes the durable calls made in it.

    `wanted`: it shall strike the next one; `struck`: it has, and never does again.
    """

    key: str
    until: datetime | None = None
    wanted: bool = False
    struck: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class Branch:
    """
    A sequence of durable calls, made by one task; the workflow's own has an empty path.

    `cancel_by`: what shall strike its next call, for the whole branch and once: `struck` then.
    """

    path: str
    numbers: Numbers
    task: "asyncio.Task[object] | None" = None
    position: int = 0
    scopes: list[Scope] = field(default_factory=list)
    cancel_by: str | None = None
    struck: bool = False

    def place(
        self,
        name: str,
        *,
        key: str | None = None,
        call: str | None = None,
        was: tuple[str, ...] = (),
        is_counted: bool = True,
    ) -> "Place":
        """Take the place of a call that is made now; a key that is given is not counted."""
        old: tuple[str, ...] = ()
        if key is None:
            own = self.numbers.call(name)
            number = own[own.rindex("#") :]
            old = tuple(joined(self.path, escaped(one)) + number for one in was)
        else:
            own, is_counted = joined(self.path, escaped(key)), False
        if is_counted:
            self.position += 1
        at = self.position if is_counted else None
        return Place(own, self, self, at, call, old, tuple(self.scopes))


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

    `at` is None for a call with a key of its own. `runner` is the branch whose time it takes, which
    is another than `branch` if the call was handed over. While it works, `task` is what to cancel
    if it may be interrupted; `by` is what struck it.
    """

    key: str
    branch: Branch
    runner: Branch
    at: int | None = None
    call: str | None = None
    was: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    wait: Wait | None = None
    task: "asyncio.Task[object] | None" = None
    by: str | None = None

    def beside(self, what: str) -> str:
        """The key of something saved beside it."""
        return f"{self.key}!{what}"

    def striker(self, now: datetime) -> str | None:
        """What strikes this place if it is live now; None: nothing does."""
        if self.runner.cancel_by is not None and not self.runner.struck:
            return self.runner.cancel_by
        for scope in self.scopes:
            is_due = scope.wanted or (scope.until is not None and scope.until <= now)
            if is_due and not scope.struck:
                return scope.key
        return None

    def strike(self, by: str) -> None:
        """Throw at it, if it waits or may be interrupted; else a later place is struck."""
        if self.wait is not None:
            self.wait.end(by)
        elif self.task is not None and self.by is None:
            self.by = by
            self.task.cancel()

    def settle(self, by: str) -> None:
        """Note that it was struck: what did so is done."""
        scope = next((scope for scope in self.scopes if scope.key == by), None)
        if scope is None:
            self.runner.struck = True
        else:
            scope.struck = True
