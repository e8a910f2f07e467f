"""
The runner: one run of an instance, from its registration to its end.

    begin    register the run; if the instance has ended already, return how it ended
    start    check the start record against the code, or make one; read the arguments
    work     run the workflow's function as a task, and poll for signals at the same time
    report   send the core the function's end: complete, fail, or acknowledge the cancel
    abandon  leave all tasks where they are

`RunEnd` may end the run in any of these: the work under way is dropped, and no user code unwound.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from runtara_sdk.client.records import SignalType
from runtara_sdk.errors import InvalidInstanceState
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.abandon import exempt_async_generators
from runtara_sdk.workflow.engine.calls import entered
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.execution import Execution, entered_execution, utc_now
from runtara_sdk.workflow.engine.observer import (
    Observe,
    Observer,
    RunBegun,
    RunEnded,
    RunResumed,
    RunSuspended,
    observing,
)
from runtara_sdk.workflow.engine.outcome import Ended, Outcome, restarted
from runtara_sdk.workflow.engine.records import Record
from runtara_sdk.workflow.engine.start import FORMATS, START, as_utf8
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted
from runtara_sdk.workflow.errors import Incompatible, InputRefused, NotSerializable, OtherInput
from runtara_sdk.workflow.user_objects import is_a
from runtara_sdk.workflow.values.tracebacks import format_error

logger = get_logger(__name__)

T = TypeVar("T")


async def execute(
    workflow: Definition,
    store: DurableStore,
    given: bytes | None = None,
    clock: Callable[[], datetime] = utc_now,
    observers: Sequence[Observer] = (),
    departure: Departure | None = None,
) -> Ended:
    """
    Run an instance until it ends, or until it is suspended and needs no process for long.

    `given` is the input as JSON; None: the input saved before, or given when the instance was
    created. If the instance has ended already, none of its code runs, and this returns how it
    ended. Raises InputRefused if the input of a first run does not fit; the instance has then
    failed. Raises Incompatible or NotSerializable if its code can't go on with the records, or its
    result can't be saved; the instance is then blocked. Raises CoreUnavailable if the core is out
    of reach for `core_timeout`, Superseded if a newer run has begun. None of these errors unwinds
    user code: its coroutine stays where it is. `observers` are called with each event of the run.
    Once `departure` is asked, the run stops and raises the error that `departure` was asked with.
    """
    observe = observing(store.instance_id, observers)
    try:
        ended = await _execute(workflow, store, given, clock, observe, departure)
    except Exception as error:
        if observe is not None:
            observe(RunEnded(error))
        raise
    if observe is not None:
        observe(RunSuspended(ended) if ended.outcome is Outcome.SUSPENDED else RunEnded(ended))
    return ended


async def _execute(
    workflow: Definition,
    store: DurableStore,
    given: bytes | None,
    clock: Callable[[], datetime],
    observe: Observe,
    departure: Departure | None,
) -> Ended:
    try:
        started = await store.begin()
        execution = Execution(store, started, workflow, clock, observe, departure)
        with entered_execution(execution):
            return await _run(execution, started, given)
    except InvalidInstanceState:
        ended = await _ended_already(workflow, store, given)
        if ended is None:
            raise
        return ended
    except (Incompatible, NotSerializable) as refusal:
        text = format_error(refusal)
        end = store.fail if isinstance(refusal, InputRefused) else store.block
        with suppress(InvalidInstanceState):  # The instance was ended or paused meanwhile.
            await end(text)
        raise


async def _ended_already(
    workflow: Definition, store: DurableStore, given: bytes | None
) -> Ended | None:
    """Return how an instance ended, before this run or from outside; None: it has not ended."""
    ended = await store.ended()
    if ended is None:
        return None
    state = await store.read(START)
    if state is not None:
        saved = json.loads(records.decode(START, state).value)
        _check(store.instance_id, workflow, saved, given)
    logger.info(
        "instance %r has ended already (%s): its code is not run",
        store.instance_id,
        ended.outcome,
    )
    gone_on = restarted(store.instance_id)
    is_restarted = ended.outcome is Outcome.DONE and ended.output == gone_on.output
    return gone_on if is_restarted else ended


async def _run(execution: Execution, started: RunStarted, given: bytes | None) -> Ended:
    exempt_async_generators()
    workflow, end = execution.workflow, execution.end
    listening: asyncio.Task[None] | None = None
    try:
        arguments = await _until_finished(execution, _start(execution, started, given))
        listening = end.in_background(execution.inbox.run())
        with entered(execution.root):
            task = asyncio.create_task(workflow.function(**arguments), name=workflow.name)
        execution.root.run_in(task)
        await asyncio.wait({task, end.outcome}, return_when=asyncio.FIRST_COMPLETED)
        if end.is_decided:
            return end.outcome.result()
        return await _until_finished(execution, _report(execution, task))
    finally:
        end.finish(Ended(Outcome.SUSPENDED))
        end.outcome.exception()
        execution.recorder.close()
        execution.suspension.close()
        execution.reporting.close()
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        execution.abandon()


async def _until_finished(execution: Execution, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work of the SDK; if the run can't go on, raise the reason instead."""
    task, outcome = asyncio.create_task(work), execution.end.outcome
    first: set[asyncio.Future[Any]] = {task, outcome}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            outcome.result()
        return await task
    finally:
        task.cancel()


async def _start(execution: Execution, started: RunStarted, given: bytes | None) -> dict[str, Any]:
    """Check the code and input against the start record, or make one; return the arguments."""
    workflow, observe = execution.workflow, execution.observe
    first = await _start_record(execution, started)
    if first is None:
        if started.input is not None and given is not None:
            with suppress(ValueError):  # What is no JSON is refused when the input is read.
                launched = {"input": json.loads(started.input)}
                _check_input(execution.instance_id, launched, given)
        text = _plain(started.input if given is None else given)
        arguments = workflow.arguments(text)
        start = workflow.first(text)
        if started.keeps_input and given is None:
            await execution.recorder.begin(START, start)
            if started.pending is not None:
                await execution.inbox.answer(started.pending)
        else:
            await execution.recorder.record(START, start)
        if observe is not None:
            observe(RunBegun(workflow.name))
        return arguments
    saved = json.loads(first.value)
    _check(execution.instance_id, workflow, saved, given)
    steps = None if started.states is None else execution.replay.steps()
    logger.info("resumed: %s from the core", _counted(steps))
    if observe is not None:
        observe(RunResumed(workflow.name, steps))
    pending = started.pending
    if pending is None:
        pending = await execution.end.call_core(lambda: execution.store.poll((), timedelta(0)))
    await execution.inbox.answer(pending)
    if "input" not in saved:
        return workflow.arguments(None, is_saved=True)
    text = json.dumps(saved["input"], ensure_ascii=False).encode(errors="backslashreplace")
    return workflow.arguments(text, is_saved=True, form=first.form)


def _plain(text: bytes | None) -> bytes | None:
    """Return an input in UTF-8; an unknown encoding is left, and refused when the input is read."""
    with suppress(ValueError):
        return None if text is None else as_utf8(text)
    return text


def _counted(steps: int | None) -> str:
    if steps is None:
        return "recorded results are read step by step"
    return "1 step" if steps == 1 else f"{steps} steps"


async def _start_record(execution: Execution, started: RunStarted) -> Record | None:
    if started.states is None:
        state = await execution.end.call_core(lambda: execution.store.read(START))
        return None if state is None else records.decode(START, state)
    record = execution.replay.get(START)
    if record is None and started.states:
        raise Incompatible(
            f"instance {execution.instance_id!r} has checkpoints that no workflow of this SDK"
            f" saved, such as {next(iter(started.states))!r}: give the workflow another"
            " instance id"
        )
    return record


def _check(
    instance_id: str, workflow: Definition, saved: dict[str, Any], given: bytes | None
) -> None:
    if saved["format"] not in FORMATS:
        raise Incompatible(
            f"instance {instance_id!r} is saved in format {saved['format']}, and this SDK reads"
            f" {' and '.join(map(str, FORMATS))}: run it with the version that began it"
        )
    workflow.check(instance_id, saved["workflow"], saved.get("function"))
    _check_input(instance_id, saved, given)


def _check_input(instance_id: str, saved: dict[str, Any], given: bytes | None) -> None:
    if given is not None and ("input" not in saved or json.loads(given) != saved["input"]):
        began = f"with input {_short(saved['input'])}" if "input" in saved else "without input"
        raise OtherInput(
            f"instance {instance_id!r} was started {began}, not with"
            f" {_short(json.loads(given))}: leave the input out, or use another instance id"
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


async def _report(execution: Execution, task: "asyncio.Task[Any]") -> Ended:
    """Send the core the end of the workflow's function."""
    store, call_core = execution.store, execution.end.call_core
    await execution.cancellation.end_branch(execution.root)
    await execution.prepare_to_leave()
    error = _error_of(task)
    is_cancelled = is_a(error, asyncio.CancelledError) and execution.root.scopes.was_cancelled
    if is_cancelled and await call_core(lambda: store.acknowledge(SignalType.CANCEL)):
        return Ended(Outcome.CANCELLED)
    left_out = execution.replay.unreplayed_calls()
    if left_out is not None:
        raise left_out from error
    if error is None:
        output = execution.workflow.output(task.result())
        await call_core(lambda: store.complete(output))
        return Ended(Outcome.DONE, output=output)
    text, failure = format_error(error), execution.workflow.failure(error)
    await call_core(lambda: store.fail(text, failure))
    return Ended(Outcome.FAILED, error=text, failure=failure)


def _error_of(task: "asyncio.Task[Any]") -> BaseException | None:
    try:
        return task.exception()
    except asyncio.CancelledError as error:
        return error
