"""
Durable calls: the keys by which a replay finds them, and the context of the running code.

A workflow is a tree of branches. Each branch is one task, and makes its durable calls one after the
other. A call therefore has a `key` (its branch's path, its name and a number) and a position among
the calls of its branch. Both are taken when the call is made, not when it is awaited. A call that
is not awaited in the branch's own task (asyncio.gather makes such tasks) is a detached call. It has
a key like others. Its owner is the branch whose code awaits it: that branch's scopes cancel the
call, and the branch counts as waiting only while the call waits.

Code in a task that is not its branch's own (a foreign task) makes its calls in an order that a
replay can't repeat. It gives each call a key of its own, unique in the instance.
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
    The instance, step and attempt of the running code.

    `key` is empty between steps. `idempotency_key` is the same for all attempts of a step, before
    and after crashes; outside a workflow it is a random one. `attempt` counts from 1.
    """

    instance_id: str = ""
    key: str = ""
    attempt: int = 1
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(slots=True)
class Attempt:
    """An attempt at a step, as the context of its code."""

    instance_id: str
    key: str
    number: int

    def info(self) -> StepInfo:
        """Return what users see of it."""
        own = idempotency_key(self.instance_id, self.key)
        return StepInfo(self.instance_id, self.key, self.number, own)


def idempotency_key(instance_id: str, key: str) -> str:
    """32 hexadecimal digits, the same for the same call of the same instance."""
    return hashlib.sha256(f"{instance_id}\0{key}".encode()).hexdigest()[:32]


class Branch:
    """
    A sequence of durable calls, made by one task; the workflow's own branch has an empty path.

    `enclosing` are the scopes around the branch's group. `from_finished_group`: the group ended in
    an earlier run, so nothing in the branch can be new.
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
        """Set the task that makes the branch's calls."""
        self.task = task

    def release_task(self) -> None:
        """Drop the reference to an ended task, and with it the frames of its error."""
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
        """Return the call that the code makes now; a call with a key of its own has no position."""
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
            # Records of form 2 lack the step's name: their key is `branch/key`.
            former += (joined(self.path, escaped(key)),)
        return self._made(DurableCall(keyed(name, key), self, self, None, step, former, key))

    def _made(self, call: "DurableCall") -> "DurableCall":
        handled = sys.exception()
        call.in_cleanup = handled is not None
        call.is_foreign = self.task is not asyncio.current_task()
        # The branch may not have seen an error that a foreign task handles.
        if handled is not None and not call.is_foreign:
            self.scopes.mark_seen(handled)
        return call

    def undo_last(self) -> None:
        """Take back the position of the last call, which the code did not make after all."""
        self.position -= 1

    def pending_scopes(self) -> tuple[CancelScope, ...]:
        """The scopes that may cancel a branch that is opened here now."""
        return self.enclosing + self.scopes.pending()


@dataclass(eq=False, slots=True)
class Wait:
    """
    A wait of a durable call, which another process could continue.

    The result of `ended` is the key of the scope that cancelled the wait; None if none did.
    `until`: when the wait ends by itself; `key`: the key of the record of that end, if any.
    `since`: when the wait began. `is_open`: the call waits for a value from outside, which may come
    soon. `is_pause`: the call waits because the instance must pause. `is_again`: the call waits
    until the code cancels it again, as in an earlier run. `reason`: the reason of the wait, for
    operators.
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

    `position` is None for a call with a key of its own, its `given_key`. A step's call has `step`
    and `arguments`; `former_keys` are its keys under the step's former names or in former versions.
    `signal` is the signal that a promise waits for. `in_cleanup`: it was made while an exception
    was handled. `is_foreign`: a foreign task made it. `main`: the call of which this one is a part;
    for the end of a sleep it is the sleep. `made` is the call's outcome, set just before it is
    saved. `cancelled_by_code` is a CancelledError of user code that came while the call's
    uninterruptible work ran.

    `LiveCalls.running` sets `runner`, the task that awaits the call; `owner`, the branch whose code
    awaits it; the owner's `scopes`; and `detached`. While the call works or waits, a scope that
    cancels it ends `task` or `wait`. If it ends `task`, `cancelled_by` is the scope's key.
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
        """Return the record of an outcome, with all that a replay compares."""
        arguments = None if self.arguments is None else self.arguments.call
        step = None if self.step is None else self.step.function
        record = Record(kind, value, self.position, arguments, None, form, step, self.signal)
        return record if self.given_key is None else record.in_branch(self.branch.path)

    def part(self, what: str) -> "DurableCall":
        """Return a part of the call, whose outcome is recorded separately."""
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
        """The key of the record of the call's outcome."""
        is_late = self.main is not None and made.kind is Kind.CANCELLED
        return self.cancel_key if is_late else self.key

    @property
    def cancel_key(self) -> str:
        """The key of a cancellation's record if the call's own key has another record."""
        return (self.main or self).subkey("struck")

    @property
    def code_key(self) -> str:
        """The key of a cancellation by user code that came while a scope's was being saved."""
        return f"{self.cancel_key}!code"

    def rename(self, key: str) -> None:
        """Change the call's key to a former one, under which there is a record."""
        self.key = key

    def subkey(self, what: str) -> str:
        """Return the key of a further record of the call."""
        return f"{self.key}!{what}"

    def begin(self, task: "asyncio.Task[object]") -> None:
        """Set the task that awaits the call, its owner (the branch of that code) and scopes."""
        self.runner = task
        self.owner = current_branch()
        self.detached = self.owner.task is not task
        self.scopes = tuple(self.owner.scopes)

    def active_scopes(self) -> list[CancelScope]:
        """The scopes that may still cancel the call; an UNSEEN one cancels no call in clean-up."""
        active = [scope for scope in self.scopes if scope.state is not State.DELIVERED]
        if self.in_cleanup:
            return [scope for scope in active if scope.state is not State.UNSEEN]
        return active

    def due_scope(self, now: datetime) -> str | None:
        """
        Return the key of the scope that cancels this live call now; None if none is due.

        Of several due scopes it is the one that was due first.
        """
        due = [scope for scope in self.active_scopes() if scope.is_due(now)]
        return min(due, key=_due_since).key if due else None

    def expired_during(self, until: datetime) -> str | None:
        """
        Return the key of the scope whose deadline came before `until`, a wait's end; or None.

        No process may have run at the deadline.
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
        """
        End the call's wait, or cancel its interruptible work.

        Other work runs to its end, and the scope cancels a later call.
        """
        if self.wait is not None:
            self.wait.end(key)
        elif self.task is not None and self.cancelled_by is None:
            self.cancelled_by = key
            self.task.cancel()


def _due_since(scope: CancelScope) -> datetime:
    return scope.deadline or _EVER


_EVER = datetime.min.replace(tzinfo=UTC)

_context: ContextVar[Branch | Attempt | None] = ContextVar("runtara_workflow", default=None)
"""The context of code: a Branch between steps, an Attempt in a step, None outside workflows."""


def branch_in(context: Context) -> Branch | None:
    """Return the branch of a context of code between steps; None for other code."""
    branch = context.get(_context)
    return branch if isinstance(branch, Branch) else None


class entered:  # Used as a function: a generator would take twice the time.
    """
    Set the context of the block's code: a branch, or an attempt at a step.

    None: outside workflows, so that timers set in the block do not count as a workflow's.
    """

    __slots__ = ("_context", "_token")

    def __init__(self, context: Branch | Attempt | None) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = _context.set(self._context)

    def __exit__(self, *raised: object) -> None:
        _context.reset(self._token)


def code_context() -> Branch | Attempt | None:
    """Return the context of the running code, in any task."""
    return _context.get()


def leave_workflow() -> None:
    """Set the context of the running code to outside of workflows."""
    _context.set(None)


def current_branch() -> Branch:
    """Return the branch that the running code belongs to, also in a task of asyncio."""
    branch = _context.get()
    assert isinstance(branch, Branch)
    return branch


def is_detached() -> bool:
    """Return whether this code runs in a task of asyncio's, and not in its branch's own."""
    return current_branch().task is not asyncio.current_task()
