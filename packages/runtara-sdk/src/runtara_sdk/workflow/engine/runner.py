"""Executing: a workflow's instance from its registration to the end of the run."""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from runtara_sdk.errors import InvalidInstanceState
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.abandon import keep_generators
from runtara_sdk.workflow.engine.context import InWorkflow, entered, under_way
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.execution import Run, utc_now
from runtara_sdk.workflow.engine.outcome import Ended, Outcome, restarted
from runtara_sdk.workflow.engine.records import Entry
from runtara_sdk.workflow.engine.start import FORMATS, START, as_utf8
from runtara_sdk.workflow.engine.store import Begun, Journal, Told
from runtara_sdk.workflow.errors import InputRefused, NotSaveable, OtherInput, Refused
from runtara_sdk.workflow.user_objects import is_a
from runtara_sdk.workflow.values.tracebacks import report

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def execute(
    workflow: Definition,
    journal: Journal,
    given: bytes | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Ended:
    """
    Run an instance until it ends or its process is of no use for long.

    `given` is the input as JSON; None: the one saved before, or that the instance was created with.
    Where the instance has ended already none of its code runs, and how it ended is told. Raises
    InputRefused if the input of a first run does not fit, by which the instance has failed; Refused
    or NotSaveable if its code can't go on with what is saved, or what it gave can't be saved, and
    the instance is blocked then; Infrastructure if the core is out of reach for long, Superseded if
    a newer run has begun. User code is never unwound by any of this: its coroutine stays where it
    is.
    """
    try:
        return await _executed(workflow, journal, given, clock)
    except InvalidInstanceState:
        ended = await _ended_already(workflow, journal, given)
        if ended is None:
            raise
        return ended
    except InputRefused as refusal:
        text = report(refusal)
        with suppress(InvalidInstanceState):  # Somebody has ended or paused the instance meanwhile.
            await journal.fail(text)
        raise
    except (Refused, NotSaveable) as refusal:
        text = report(refusal)
        with suppress(InvalidInstanceState):  # Likewise.
            await journal.block(text)
        raise


async def _ended_already(
    workflow: Definition, journal: Journal, given: bytes | None
) -> Ended | None:
    """Tell how an instance has ended: before this run began, or by another's word; None: not."""
    ended = await journal.ended()
    if ended is None:
        return None
    state = await journal.read(START)
    if state is not None:
        saved = json.loads(records.decode(START, state).value)
        _check(journal.instance_id, workflow, saved, given)
    logger.info(
        "instance %r has ended already (%s): its code runs no more",
        journal.instance_id,
        ended.outcome,
    )
    gone_on = restarted(journal.instance_id)
    is_restarted = ended.outcome is Outcome.DONE and ended.output == gone_on.output
    return gone_on if is_restarted else ended


async def _executed(
    workflow: Definition,
    journal: Journal,
    given: bytes | None,
    clock: Callable[[], datetime],
) -> Ended:
    begun = await journal.begin()
    run = Run(journal, begun, workflow, clock)
    with under_way(run):
        return await _gone_through(run, workflow, begun, given)


async def _gone_through(run: Run, workflow: Definition, begun: Begun, given: bytes | None) -> Ended:
    keep_generators()
    starting = asyncio.create_task(_started(run, workflow, begun, given))
    listening: asyncio.Task[None] | None = None
    try:
        arguments = await _unless_over(run, starting)
        listening = run.in_background(run.ears.listen())
        with entered(InWorkflow(run, run.root)):
            task = asyncio.create_task(workflow.function(**arguments), name=workflow.name)
        return await _ended(run, workflow, task)
    finally:
        run.end(Ended(Outcome.SUSPENDED))
        run.over.exception()
        run.idleness.close()
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        run.leave()


async def _ended(run: Run, workflow: Definition, task: "asyncio.Task[Any]") -> Ended:
    run.root.task = task
    await asyncio.wait({task, run.over}, return_when=asyncio.FIRST_COMPLETED)
    if run.over.done():
        return run.over.result()
    ending = asyncio.create_task(_settled(run, workflow, task))
    return await _unless_over(run, ending)


async def _unless_over(run: Run, task: "asyncio.Task[T]") -> T:
    """Give what a task of ours gives, unless the run can't go on: raises why then."""
    first: set[asyncio.Future[Any]] = {task, run.over}
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            run.over.result()
        return await task
    finally:
        task.cancel()


async def _started(
    run: Run, workflow: Definition, begun: Begun, given: bytes | None
) -> dict[str, Any]:
    """Agree with what was saved at the first start, or save it; gives the arguments."""
    first = await _first(run, begun)
    if first is None:
        text = _plain(begun.input if given is None else given)
        arguments = workflow.arguments(text)
        await run.save(START, workflow.first(text))
        return arguments
    saved = json.loads(first.value)
    _check(run.instance_id, workflow, saved, given)
    logger.info("resumed: %s from the core", _steps(run, begun))
    heard = await run.reach(lambda: run.journal.hear((), timedelta(0)))
    if heard.told is not None:
        await run.ears.answer(heard)
    if "input" not in saved:
        return workflow.arguments(None, is_saved=True)
    text = json.dumps(saved["input"], ensure_ascii=False).encode(errors="backslashreplace")
    return workflow.arguments(text, is_saved=True, form=first.form)


def _plain(text: bytes | None) -> bytes | None:
    """An input in UTF-8; one that is in no encoding is refused where it is read."""
    with suppress(ValueError):
        return None if text is None else as_utf8(text)
    return text


def _steps(run: Run, begun: Begun) -> str:
    if begun.passed is None:
        return "what has passed is read step by step"
    count = run.history.steps()
    return "1 step" if count == 1 else f"{count} steps"


async def _first(run: Run, begun: Begun) -> Entry | None:
    entry = run.history.peek(START)
    if entry is None and begun.passed is None:
        state = await run.reach(lambda: run.journal.read(START))
        entry = None if state is None else records.decode(START, state)
    if entry is None:
        if begun.passed:
            raise Refused(
                f"instance {run.instance_id!r} has checkpoints that no workflow of this SDK saved,"
                f" such as {next(iter(begun.passed))!r}: give the workflow another instance id"
            )
        return None
    return entry


def _check(
    instance_id: str, workflow: Definition, saved: dict[str, Any], given: bytes | None
) -> None:
    if saved["format"] not in FORMATS:
        raise Refused(
            f"instance {instance_id!r} is saved in format {saved['format']}, and this SDK reads"
            f" {' and '.join(map(str, FORMATS))}: run it with the version that began it"
        )
    workflow.check(instance_id, saved["workflow"], saved.get("function"))
    if given is not None and ("input" not in saved or json.loads(given) != saved["input"]):
        began = f"with input {_short(saved['input'])}" if "input" in saved else "without input"
        raise OtherInput(
            f"instance {instance_id!r} was started {began}, not with"
            f" {_short(json.loads(given))}: leave the input out, or use another instance id"
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


async def _settled(run: Run, workflow: Definition, task: "asyncio.Task[Any]") -> Ended:
    """Tell the core how the workflow's function ended."""
    await run.strikes.end(run.root)
    error = _error_of(task)
    is_cancelled = is_a(error, asyncio.CancelledError) and run.root.is_struck
    if is_cancelled and await run.reach(lambda: run.journal.acknowledge(Told.CANCEL)):
        return Ended(Outcome.CANCELLED)
    left_out = run.history.left_out()
    if left_out is not None:
        raise left_out from error
    if error is None:
        output = workflow.output(task.result())
        await run.reach(lambda: run.journal.complete(output))
        return Ended(Outcome.DONE, output=output)
    text = report(error)
    await run.reach(lambda: run.journal.fail(text))
    return Ended(Outcome.FAILED, error=text)


def _error_of(task: "asyncio.Task[Any]") -> BaseException | None:
    try:
        return task.exception()
    except asyncio.CancelledError as error:
        return error
