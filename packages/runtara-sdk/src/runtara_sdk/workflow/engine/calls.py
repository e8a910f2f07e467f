"""
Durable calls: what makes a call the same one on every replay, and where code that runs now stands.

A workflow is a tree of branches. Each branch is one task, and makes its durable calls one after the
other: so a call is known by its branch's path, its name and a number (`key`), and by its position
among the calls of its branch. Both are taken when the call is made, not when it is awaited. What
runs in a branch and was not awaited in the branch's own task (asyncio.gather makes such tasks) is
a detached call: it has its key, and takes the time of the branch that awaits it, its owner.

Code in a task that is not its branch's own (a foreign task) makes its calls in no order that a
replay would know. It gives each call a key of its own, which is unique in the instance.
"""

import asyncio
import hashlib
import sys
import uuid
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runtara_sdk.workflow.engine.cancel_scopes import CancelScope, ScopeStack, State
from runtara_sdk.workflow.engine.keys import OWN, Numbers, escaped, joined, keyed
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.values.arguments import LiveCall
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.identity import Identity


@dataclass(frozen=True, slots=True)
class StepInfo:
    """
    What the code that runs now may know of itself.

    `key` is empty between steps. `idempotency_key` is the same for all attempts of a step, before
    and after crashes; outside a workflow it is a random one. `attempt` counts from 1.
    """

    instance_id: str = ""
    key: str = ""
    attempt: int = 1
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)


def idempotency_key(instance_id: str, key: str) -> str:
    """32 hexadecimal digits, the same for the same call of the same instance."""
    return hashlib.sha256(f"{instance_id}\0{key}".encode()).hexdigest()[:32]


class Branch:
    """
    A sequence of durable calls, made by one task; the workflow's own has an empty path.

    `enclosing` are the scopes that its group is in. `from_finished_group`: the group ended in an
    earlier run, so nothing in the branch can be new.
    """

    def __init__(
        self,
        path: str,
        whole: CancelScope,
        enclosing: tuple[CancelScope, ...] = (),
        *,
        from_finished_group: bool = False,
    ) -> None:
        self.path = path
        self.numbers = Numbers(path)
        self.scopes = ScopeStack(whole, CancelScope(joined(path, f"{OWN}end")))
        self.enclosing = enclosing
        self.from_finished_group = from_finished_group
        self.task: asyncio.Task[object] | None = None
        self.position = 0

    def run_in(self, task: "asyncio.Task[object]") -> None:
        """Let a task be the one that makes the branch's calls."""
        self.task = task

    def release_task(self) -> None:
        """Hold a task no more that has ended, with the frames of what it raised."""
        if self.task is not None and self.task.done():
            self.task = None

    def next_call(
        self,
        name: str,
        *,
        key: str | None = None,
        step: Identity | None = None,
        is_counted: bool = True,
    ) -> "DurableCall":
        """Make the call that the code makes now; one with a key of its own has no position."""
        names = () if step is None else step.was
        if key is not None:
            return self._keyed_call(name, key, step, names)
        own = self.numbers.call(name)
        former: tuple[str, ...] = ()
        if names:
            number = own[own.rindex("#") :]
            former = tuple(joined(self.path, escaped(one)) + number for one in names)
        if is_counted:
            self.position += 1
        position = self.position if is_counted else None
        return self._made(DurableCall(own, self, self, position, step, former))

    def _keyed_call(
        self, name: str, key: str, step: Identity | None, names: tuple[str, ...]
    ) -> "DurableCall":
        former = tuple(keyed(one, key) for one in names)
        if step is not None:
            # What form 2 has: the key alone, in its branch.
            former += (joined(self.path, escaped(key)),)
        return self._made(DurableCall(keyed(name, key), self, self, None, step, former, key))

    def _made(self, call: "DurableCall") -> "DurableCall":
        handled = sys.exception()
        call.in_cleanup = handled is not None
        call.is_foreign = self.task is not asyncio.current_task()
        # What a foreign task handles, the branch may not have seen.
        if handled is not None and not call.is_foreign:
            self.scopes.mark_seen(handled)
        return call

    def undo_last(self) -> None:
        """Give back the position of the last call, which the code turned out not to make."""
        self.position -= 1

    def pending_scopes(self) -> tuple[CancelScope, ...]:
        """The scopes that may cancel a branch that is opened here now."""
        return self.enclosing + self.scopes.pending()


@dataclass(eq=False, slots=True)
class Wait:
    """
    A wait of a durable call, which could as well wait in another process.

    `ended` becomes None when the wait is over, else the key of the scope that cancelled it.
    `until`: when it is over by itself, and `key` what that is recorded under, if it is. `since`:
    when it began. `is_open`: it waits for a value from outside, which may come soon. `is_pause`:
    the instance is to pause. `is_again`: the code is to cancel the call again, as it did in an
    earlier run. `reason`: why there is a wait, for operators.
    """

    ended: "asyncio.Future[str | None]"
    since: datetime
    until: datetime | None = None
    key: str | None = None
    is_open: bool = False
    is_pause: bool = False
    is_again: bool = False
    reason: str = ""

    def end(self, cancelled_by: str | None = None) -> None:
        """End it, unless it has ended."""
        if not self.ended.done():
            self.ended.set_result(cancelled_by)


@dataclass(eq=False, slots=True)
class DurableCall:
    """
    One durable call: its key, and its position among the calls of its branch.

    `position` is None for a call with a key of its own, which is `given_key` then; `step` is what
    is called and `arguments` how, if it is a step, `former_keys` what its key would have been under
    the step's former names or in former versions, and `signal` what a promise waits for.
    `in_cleanup`: it was made where an exception was handled. `is_foreign`: by a foreign task.
    `main`: the call that this one is a part of, as the end of a sleep is. `made` is what came of
    it, from when that is about to be saved, and `cancelled_by_code` the CancelledError of user
    code that came while it was at work that is let end.
    `LiveCalls.running` sets `runner`, the task that awaits it, `owner`, the branch whose time it
    takes, the owner's `scopes`, and `detached`; while it works or waits, `task` or `wait` is what
    to end if a scope cancels it, and `cancelled_by` is the key of the one that has.
    """

    key: str
    branch: Branch
    owner: Branch
    position: int | None = None
    step: Identity | None = None
    former_keys: tuple[str, ...] = ()
    given_key: str | None = None
    in_cleanup: bool = False
    is_foreign: bool = False
    main: "DurableCall | None" = None
    made: Record | None = None
    detached: bool = False
    scopes: tuple[CancelScope, ...] = ()
    arguments: LiveCall | None = None
    signal: str | None = None
    wait: Wait | None = None
    runner: "asyncio.Task[object] | None" = None
    task: "asyncio.Task[object] | None" = None
    cancelled_by: str | None = None
    cancelled_by_code: asyncio.CancelledError | None = None

    def record(self, kind: Kind, value: bytes, form: Form = Form.NAMES) -> Record:
        """What is recorded under its key, with all that a replay compares."""
        arguments = None if self.arguments is None else self.arguments.call
        step = None if self.step is None else self.step.function
        record = Record(kind, value, self.position, arguments, None, form, step, self.signal)
        return record if self.given_key is None else record.in_branch(self.branch.path)

    def part(self, what: str) -> "DurableCall":
        """A part of the call, with an outcome of its own that is recorded beside it."""
        return DurableCall(
            self.subkey(what),
            self.branch,
            self.owner,
            given_key=self.given_key,
            in_cleanup=self.in_cleanup,
            is_foreign=self.is_foreign,
            main=self,
        )

    def key_for(self, made: Record) -> str:
        """What a record of what came of the call is saved under."""
        is_late = self.main is not None and made.kind is Kind.CANCELLED
        return self.cancel_key if is_late else self.key

    @property
    def cancel_key(self) -> str:
        """What a cancellation is recorded under where the call's own key has a record."""
        return (self.main or self).subkey("struck")

    def rename(self, key: str) -> None:
        """Be known by a former key, which something is recorded under."""
        self.key = key

    def subkey(self, what: str) -> str:
        """The key of something recorded beside the call."""
        return f"{self.key}!{what}"

    def begin(self, task: "asyncio.Task[object]") -> None:
        """Take the time of the branch whose code awaits the call in a task; be in its scopes."""
        self.runner = task
        self.owner = current_branch()
        self.detached = self.owner.task is not task
        self.scopes = tuple(self.owner.scopes)

    def active_scopes(self) -> list[CancelScope]:
        """The scopes that may still cancel it; those not seen yet do not in clean-up."""
        active = [scope for scope in self.scopes if scope.state is not State.DELIVERED]
        if self.in_cleanup:
            return [scope for scope in active if scope.state is not State.UNSEEN]
        return active

    def due_scope(self, now: datetime) -> str | None:
        """The key of the scope, due first, that cancels it if it is live now; or None."""
        due = [scope for scope in self.active_scopes() if scope.is_due(now)]
        return min(due, key=_due_since).key if due else None

    def expired_during(self, until: datetime) -> str | None:
        """
        The key of the scope whose deadline came before `until`, the end of a wait; or None.

        Perhaps no process ran at the deadline.
        """
        own = [scope for scope in self.active_scopes() if scope.expires_before(until)]
        if own:
            return min(own, key=_due_since).key
        whole = self.owner.scopes.whole
        is_late = any(scope.expires_before(until) for scope in self.owner.enclosing)
        return whole.key if is_late and whole in self.active_scopes() else None

    def is_deadline(self, key: str) -> bool:
        """Return whether this is the key of a timeout, and not of the end of the branch."""
        return any(scope.key == key and scope.deadline is not None for scope in self.scopes)

    def cancel(self, key: str) -> None:
        """End its wait, or its work if that may be interrupted; else a later call is cancelled."""
        if self.wait is not None:
            self.wait.end(key)
        elif self.task is not None and self.cancelled_by is None:
            self.cancelled_by = key
            self.task.cancel()


def _due_since(scope: CancelScope) -> datetime:
    return scope.deadline or _EVER


_EVER = datetime.min.replace(tzinfo=UTC)

_context: ContextVar[Branch | StepInfo | None] = ContextVar("runtara_workflow", default=None)
"""A branch between steps, a step's attempt inside one, None outside workflows."""


def branch_in(context: Context) -> Branch | None:
    """The branch of the code between steps that a context is of, if it is of such."""
    branch = context.get(_context)
    return branch if isinstance(branch, Branch) else None


class entered:  # Used as a function: a generator would take twice the time.
    """
    Let the code of this block stand in a branch, or in an attempt at a step.

    None: outside workflows, so that timers which are set in the block are none of theirs.
    """

    __slots__ = ("_context", "_token")

    def __init__(self, context: Branch | StepInfo | None) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _context.set(self._context)

    def __exit__(self, *raised: object) -> None:
        _context.reset(self._token)


def code_context() -> Branch | StepInfo | None:
    """Where the code that runs now stands, whatever its task."""
    return _context.get()


def leave_workflow() -> None:
    """Let the code that runs now stand outside workflows."""
    _context.set(None)


def current_branch() -> Branch:
    """The branch whose time the code that runs now takes, also in a task of asyncio's."""
    branch = _context.get()
    assert isinstance(branch, Branch)
    return branch


def is_detached() -> bool:
    """Return whether this code runs in a task of asyncio's, and not in its branch's own."""
    return current_branch().task is not asyncio.current_task()
