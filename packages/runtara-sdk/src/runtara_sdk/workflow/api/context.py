"""Finds the context of the running code: a workflow, a step, or neither."""

import asyncio
import os
from dataclasses import dataclass

from runtara_sdk.workflow.engine import calls
from runtara_sdk.workflow.engine.calls import Branch, DurableCall, StepInfo
from runtara_sdk.workflow.engine.execution import Execution, current_execution, under_way
from runtara_sdk.workflow.errors import DurableCallInStep, NotInBranchTask, OutsideWorkflow
from runtara_sdk.workflow.values.identity import Identity


@dataclass(slots=True)
class InWorkflow:
    """The context of workflow code, outside of its steps."""

    execution: Execution
    branch: Branch

    def next_call(
        self, name: str, *, key: str | None = None, step: Identity | None = None
    ) -> DurableCall:
        """Return the durable call that the code makes now; raises WorkflowError for a used key."""
        call = self.branch.next_call(name, key=key, step=step)
        if key is not None:
            self.execution.replay.claim(call)
        return call


def current() -> StepInfo:
    """Return which instance, step and attempt this code runs for."""
    context = calls.code_context()
    if isinstance(context, Branch):
        instance_id = current_execution().instance_id
        return StepInfo(instance_id, idempotency_key=instance_id)
    return StepInfo() if context is None else context.info()


def in_workflow(what: str, *, key: str | None = None, keyed: str = "") -> InWorkflow | None:
    """
    Return the context of workflow code; None inside a step and outside a workflow.

    Raises NotInBranchTask in a task that is not the branch's own, unless the call has a key of its
    own. keyed: how to give it a key, for the error's text.
    """
    branch = calls.code_context()
    if not isinstance(branch, Branch):
        return None
    execution = current_execution()
    task = _running_task(execution)
    if task is None:
        raise NotInBranchTask(
            f"{what} is durable, and nothing awaits it where it was called, in a thread or a"
            " callback: call it in a task of the workflow's loop. A plain step runs in a thread by"
            " itself"
        )
    if key is None and branch.task is not task:
        raise NotInBranchTask(f"{what} {_foreign(keyed)}")
    return InWorkflow(execution, branch)


def required(what: str, *, key: str | None = None, keyed: str = "") -> InWorkflow:
    """As `in_workflow`, but raises DurableCallInStep or OutsideWorkflow instead of None."""
    where = in_workflow(what, key=key, keyed=keyed)
    if where is not None:
        return where
    if calls.code_context() is None:
        check_outside(what)
        raise OutsideWorkflow(
            f"{what} is durable, and no workflow runs here: call it in a function decorated with"
            " @workflow, and run that"
        )
    raise DurableCallInStep(
        f"{what} is durable, and inside a step nothing is: return from the step and call it in the"
        " workflow"
    )


def _in_forked_process() -> None:
    """End the run in a forked child: its copy of the loop would write on the connection."""
    if isinstance(calls.code_context(), Branch):
        calls.leave_workflow()
    for execution in under_way():
        execution.end.outcome.get_loop().stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_process)


def _foreign(keyed: str) -> str:
    """Return the error's text for a call without a key in a task that is not its branch's."""
    own_key = (
        f"give the call a key of its own, {keyed}, which is safe in any task;\n" if keyed else ""
    )
    return (
        "was called in a task that is not its branch's own, where it would get another key on"
        f" every replay: {own_key}or start the coroutine as a branch with a name,\n"
        "    async with TaskGroup() as group:\n"
        '        group.create_task(coroutine(), name="...")\n'
        "or with map_steps. asyncio.gather is safe for steps that are called in its arguments"
    )


def check_outside(what: str, function: str = "") -> None:
    """
    Raise NotInBranchTask for a durable call without a workflow's context while one is under way.

    Such a call comes from a worker thread, or from a task that other code began. Its result would
    not be saved, and in a thread nothing would await it.
    """
    if calls.code_context() is None and under_way():
        plainly = (
            f". If nothing of it is to be saved, call its function, {function}" if function else ""
        )
        raise NotInBranchTask(
            f"{what} was called beside the workflow that is under way, in a thread, a callback or a"
            " task that was begun elsewhere, and would not be saved: call it in the workflow, or"
            " with a key of its own in a task that the workflow's code begins, which carries its"
            f" context (a plain step runs in a thread by itself){plainly}"
        )


def is_in_loop(execution: Execution) -> bool:
    """Return whether this code runs in the loop of the run, and not in a thread."""
    try:
        return asyncio.get_running_loop() is execution.end.outcome.get_loop()
    except RuntimeError:
        return False


def _running_task(execution: Execution) -> "asyncio.Task[object] | None":
    """The task of this code; None: it is not in the loop of the run, or in no task."""
    return asyncio.current_task() if is_in_loop(execution) else None
