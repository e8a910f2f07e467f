"""Where the code that runs now stands: in a workflow, in a step, or in neither."""

import asyncio
import os
from dataclasses import dataclass

from runtara_sdk.workflow.engine import calls
from runtara_sdk.workflow.engine.calls import Branch, Current
from runtara_sdk.workflow.engine.execution import Execution, current_execution, under_way
from runtara_sdk.workflow.errors import ForeignTask, InsideStep, OutsideWorkflow


@dataclass(frozen=True, slots=True)
class InWorkflow:
    """Between steps."""

    execution: Execution
    branch: Branch


def current() -> Current:
    """Tell which instance, step and attempt this code runs for."""
    standing = calls.standing()
    if isinstance(standing, Branch):
        instance_id = current_execution().instance_id
        return Current(instance_id, idempotency_key=instance_id)
    return Current() if standing is None else standing


def in_workflow() -> InWorkflow | None:
    """Where a step may be durable: None inside a step and outside a workflow, where it is not."""
    branch = calls.standing()
    if not isinstance(branch, Branch):
        return None
    _check_task(branch)
    return InWorkflow(current_execution(), branch)


def required(what: str) -> InWorkflow:
    """Where something is durable; raises InsideStep, OutsideWorkflow or ForeignTask."""
    where = in_workflow()
    if where is not None:
        return where
    if calls.standing() is None:
        raise OutsideWorkflow(
            f"{what} is durable, and no workflow runs here: call it in a function decorated with"
            " @workflow, and run that"
        )
    raise InsideStep(
        f"{what} is durable, and inside a step nothing is: return from the step and call it in the"
        " workflow"
    )


def _in_forked_process() -> None:
    """A process that is forked is no run: its copy of the loop would write on the connection."""
    if isinstance(calls.standing(), Branch):
        calls.leave_workflow()
    for execution in under_way():
        execution.end.outcome.get_loop().stop()


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
    if calls.standing() is None and under_way() and not _is_in_task():
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
