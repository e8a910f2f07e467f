"""Steps run once, and give on replay what they gave."""

import asyncio
import copy
import json
import threading

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore
from tests.sdk.workflow.probe import probe

from runtara_sdk.workflow import (
    Ended,
    Outcome,
    Retry,
    StepFailed,
    current,
    execute,
    step,
    workflow,
)


class Declined(Exception):
    pass


@step
async def double(number: int) -> int:
    probe.counts["double"] += 1
    return number * 2


@step
def shout(text: str) -> str:
    probe.counts["shout"] += 1
    return text.upper()


@step(raises=Declined)
async def charge(amount: int) -> int:
    probe.counts["charge"] += 1
    if amount > 100:
        raise Declined("too much", amount)
    if amount < 0:
        raise ValueError("negative")
    return amount


async def test_a_workflow_runs_its_steps_and_ends_with_its_output() -> None:
    """One save a step, and one for the input."""

    @workflow
    async def adding(number: int) -> str:
        first = await double(number)
        second = await double(first)
        return await shout(f"{second}x")

    core = Core()
    ended = await execute(adding, MemoryStore(core), b"2")

    assert ended == Ended(Outcome.DONE, b'"8X"')
    assert core.ended == ended
    assert core.calls == [
        "save ~workflow",
        "save double#1",
        "save double#2",
        "save shout#1",
        "complete",
    ]


async def tried(amount: int) -> tuple[object, ...]:
    try:
        return (await charge(amount),)
    except (Declined, StepFailed) as error:
        return (type(error), error.args, str(error), *getattr(error, "__notes__", ()))


async def test_a_replay_gives_the_results_without_running_the_steps() -> None:
    """A failure in `raises` is raised as itself, and another one as StepFailed."""
    seen: list[tuple[object, ...]] = []

    @workflow
    async def trying() -> int:
        seen.extend([await tried(amount) for amount in (5, 500, -1)])
        a, b = await asyncio.gather(double(1), double(2))
        return a + b

    core = Core()
    first = await execute(trying, MemoryStore(core))
    live, ran = list(seen), probe.counts.copy()
    seen.clear()
    core.ended = None
    second = await execute(trying, MemoryStore(core))

    assert first == second == Ended(Outcome.DONE, b"6")
    assert seen == live
    assert ran == probe.counts
    assert live[0] == (5,)
    assert live[1][:2] == (Declined, ("too much", 500))
    assert live[2][0] is StepFailed
    assert "ValueError: negative" in str(live[2][2])


async def test_a_cancel_from_inside_a_step_is_its_failure() -> None:
    """The failure is saved and tried again; only scopes cancel the workflow."""
    tried: list[int] = []

    @step(retry=Retry(attempts=2, wait=0, on=RuntimeError))
    async def awaiting() -> None:
        tried.append(current().attempt)
        inner = asyncio.create_task(asyncio.sleep(1))
        inner.cancel()
        await inner

    @workflow
    async def flow() -> str:
        try:
            await awaiting()
        except StepFailed as error:
            return error.message
        return "done"

    core = Core()
    ended = await execute(flow, MemoryStore(core), None)

    assert b"something that the step awaited was cancelled" in ended.output
    assert tried == [1, 2]
    assert json.loads(core.states["awaiting#1"])["kind"] == "failure"


async def test_a_step_that_changes_its_arguments_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A replay does not run the step, and has the arguments unchanged."""

    @step
    async def extend(numbers: list[int]) -> list[int]:
        numbers.append(1)
        return numbers

    @step
    async def extended(numbers: list[int]) -> list[int]:
        return [*numbers, 1]

    @workflow
    async def flow() -> int:
        return len(await extend([])) + len(await extended([]))

    await execute(flow, MemoryStore(Core()), None)

    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == 1
    assert "the step of extend#1 has changed its arguments" in warned[0]


async def test_a_used_step_may_be_copied_with_what_holds_it() -> None:
    """A copy shares the function and what is known of it, such as defaults that can't be copied."""

    @step
    async def guarded(number: int, lock: object = threading.Lock()) -> int:
        return number

    @workflow
    async def guarding(number: int) -> int:
        return await guarded(number)

    ended = await execute(guarding, MemoryStore(Core()), b"1")
    holder = copy.deepcopy({"step": guarded})

    assert ended.output == b"1"
    assert await holder["step"](2) == 2


async def test_what_other_decorators_put_on_a_function_is_theirs() -> None:
    """Such an attribute is kept even if a step has one of the same name."""

    async def work() -> int:
        return 1

    vars(work)["_function"] = vars(work)["label"] = "theirs"
    made = step(work)

    assert await made() == 1
    assert vars(made)["label"] == "theirs"
