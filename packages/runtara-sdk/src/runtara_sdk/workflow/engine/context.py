"""Where the code that runs now stands: in a workflow, in a step, or in neither."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

from runtara_sdk.workflow.engine.calls import Branch
from runtara_sdk.workflow.errors import ForeignTask, InsideStep, OutsideWorkflow

if TYPE_CHECKING:
    from runtara_sdk.workflow.engine.execution import Run


@dataclass(frozen=True, slots=True)
class InWorkflow:
    """Between steps."""

    run: "Run"
    branch: Branch


@dataclass(frozen=True, slots=True)
class Current:
    """
    What the code that runs now may know of itself.

    `key` is empty between steps. `idempotency_key` is the same for all attempts of a step, before
    and after crashes; outside a workflow it is a random one. `attempt` counts from 1.
    """

    instance_id: str = ""
    key: str = ""
    attempt: int = 1
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)


_where: ContextVar[Union[InWorkflow, Current, None]] = ContextVar("runtara_workflow", default=None)  # noqa: UP007 - a forward reference


def idempotency_key(instance_id: str, key: str) -> str:
    """32 hexadecimal digits, the same for the same call of the same instance."""
    return hashlib.sha256(f"{instance_id}\0{key}".encode()).hexdigest()[:32]


def current() -> Current:
    """Tell which instance, step and attempt this code runs for."""
    where = _where.get()
    if isinstance(where, InWorkflow):
        return Current(where.run.instance_id, idempotency_key=where.run.instance_id)
    return Current() if where is None else where


def in_workflow() -> InWorkflow | None:
    """Where a step may be durable: None inside a step and outside a workflow, where it is not."""
    where = _where.get()
    if not isinstance(where, InWorkflow):
        return None
    _check_task(where.branch)
    return where


def required(what: str) -> InWorkflow:
    """Where something is durable; raises InsideStep, OutsideWorkflow or ForeignTask."""
    where = in_workflow()
    if where is not None:
        return where
    if _where.get() is None:
        raise OutsideWorkflow(
            f"{what} is durable, and no workflow runs here: call it in a function decorated with"
            " @workflow, and run that"
        )
    raise InsideStep(
        f"{what} is durable, and inside a step nothing is: return from the step and call it in the"
        " workflow"
    )


@contextmanager
def entered(where: InWorkflow | Current) -> Iterator[None]:
    """Let the code of this block stand there."""
    token = _where.set(where)
    try:
        yield
    finally:
        _where.reset(token)


_under_way: set["Run"] = set()


@contextmanager
def under_way(run: "Run") -> Iterator[None]:
    """Let a run be known in its process while the block lasts."""
    _under_way.add(run)
    try:
        yield
    finally:
        _under_way.discard(run)


def _in_forked_process() -> None:
    """A process that is forked is no run: its copy of the loop would write on the connection."""
    if isinstance(_where.get(), InWorkflow):
        _where.set(None)
    for run in _under_way:
        run.over.get_loop().stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_process)


def _check_task(branch: Branch) -> None:
    if not _is_in_task() or branch.task is not asyncio.current_task():
        raise ForeignTask(
            "a durable call in a task the workflow does not know would get another key on every"
            " replay: start the coroutine as a branch with a name,\n"
            "    async with TaskGroup() as group:\n"
            '        group.create_task(coroutine(), name="...")\n'
            "or with map_steps; asyncio.gather is safe only for steps called in its arguments"
        )


def check_awaited(step: str) -> None:
    """
    Raise ForeignTask for a step that is called where nothing can await it: beside a workflow, in
    a thread without a loop (`run_in_executor`, `Thread`), or in a callback of the loop.

    Its coroutine would be dropped there, and its effect not be done, without a word.
    """
    if _where.get() is None and _under_way and not _is_in_task():
        raise ForeignTask(
            f"step {step!r} was called in a thread or a callback that the workflow does not know,"
            " where nothing awaits it: await it in the workflow (a plain step runs in a thread by"
            f" itself), or call its function, {step}.__wrapped__, if nothing of it is to be saved"
        )


def _is_in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # This is a thread without a loop.
        return False


def here() -> Branch:
    """The branch whose time the code that runs now takes, also in a task of asyncio's."""
    where = _where.get()
    assert isinstance(where, InWorkflow)
    return where.branch


def is_handed_over() -> bool:
    """Tell whether this code runs in a task of asyncio's, and not in its branch's own."""
    return here().task is not asyncio.current_task()


def where_now() -> InWorkflow | Current | None:
    """Where the code that runs now stands, whatever its task; None: in neither."""
    return _where.get()
