"""Continue-as-new: an endless workflow goes on as a new instance, with an empty history."""

from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn

from runtara_sdk.workflow.api.context import required
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.outcome import restarted
from runtara_sdk.workflow.engine.start import START
from runtara_sdk.workflow.errors import NondeterminismError, WorkflowError
from runtara_sdk.workflow.values.form import Form


def continue_as_new(*args: object, **kwargs: object) -> Coroutine[Any, Any, NoReturn]:
    """
    Complete this instance and go on as another one of the same workflow, with these arguments.

    "agent" goes on as "agent~2", and that as "agent~3". The output of the old instance names the
    new one, and a process that runs the old instance goes on with the new one. The call never
    returns. No other durable call may be under way, because no code would wait for it.
    """
    where = required("continue_as_new()")
    _check_alone(where.execution)
    text, form = _input(where.execution.workflow, args, kwargs)
    call = where.branch.next_call("restart")
    return _restarted(where.execution, call, text, form)


def _input(
    workflow: Definition, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[bytes | None, Form]:
    try:
        return workflow.input(args, kwargs)
    except TypeError as error:
        raise TypeError(f"continue_as_new() takes the arguments of {error}") from None


def _check_alone(execution: Execution) -> None:
    if len(execution.live.branches) > 1 or execution.live.calls:
        names = [call.key for call in execution.live.calls]
        names += [branch.path for branch in execution.live.branches if branch.path]
        raise WorkflowError(
            f"continue_as_new() while {', '.join(map(repr, sorted(names)))} is under way,"
            " which would be lost: call it in the workflow's own branch, after its groups have"
            " ended and its tasks were awaited"
        )


async def _restarted(
    execution: Execution, call: DurableCall, text: bytes | None, form: Form
) -> NoReturn:
    async def live() -> NoReturn:
        await execution.cancellation.check(call)
        left_out = execution.replay.unreplayed_calls()
        if left_out is not None:
            await execution.end.finish_and_block(left_out)
        end = restarted(execution.instance_id)
        state = execution.workflow.first(text, form).encoded
        store = execution.store
        await execution.recorder.save_owed()
        await execution.end.call_core(lambda: store.create_successor(end.successor, START, state))
        await execution.end.call_core(lambda: store.complete(end.output))
        await execution.end.finish_and_block(end)

    record = await execution.durable(call, live)
    await execution.end.finish_and_block(
        NondeterminismError(
            f"{call.key!r} was recorded as a {record.kind}, and is continue_as_new() now"
        )
    )
