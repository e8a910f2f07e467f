"""Durable calls where nothing is durable say what to do instead."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    DurableCallInStep,
    Ended,
    NotInBranchTask,
    Outcome,
    OutsideWorkflow,
    TaskGroup,
    WorkflowError,
    current,
    map_steps,
    now,
    patched,
    promise,
    race,
    sleep,
    step,
    workflow,
)


@step
async def double(number: int) -> int:
    return 2 * number


@step
def halve(number: int) -> int:
    return number // 2


@step
async def nested(number: int) -> int:
    return await halve(await double(number) + 2)


async def test_a_step_called_in_a_step_is_its_function() -> None:
    """Nothing is saved for it."""

    @workflow
    async def nesting() -> int:
        return await nested(4)

    core = Core()
    ended = await life(nesting, core)

    assert ended == Ended(Outcome.DONE, b"5")
    assert set(core.states) == {"~workflow", "nested#1"}


async def test_outside_a_workflow_a_step_is_its_function() -> None:
    """Plain ones are awaited too, and each call has an idempotency key of its own."""
    assert await nested(4) == 5
    assert await halve(4) == 2
    assert current().idempotency_key != current().idempotency_key


@pytest.mark.parametrize(
    "call", ["sleep", "promise", "now", "patched", "TaskGroup", "map_steps", "race"]
)
async def test_what_is_durable_fails_inside_a_step(call: str) -> None:
    """The error names the call."""

    @step
    async def impossible() -> str:
        try:
            await durable(call)
        except DurableCallInStep as error:
            return str(error)
        return ""

    @workflow
    async def trying() -> str:
        return await impossible()

    ended = await life(trying, Core())

    assert ended is not None
    assert call in ended.output.decode()
    with pytest.raises(OutsideWorkflow, match=call):
        await durable(call)


async def durable(call: str) -> None:
    match call:
        case "sleep":
            await sleep(0)
        case "promise":
            await promise("x", int)
        case "now":
            await now()
        case "patched":
            await patched("x")
        case "map_steps":
            await map_steps(double, [1], key=str)
        case "race":
            with closing(double(1)) as runner:
                await race(runner=runner)
        case _:
            async with TaskGroup():
                pass


async def test_the_error_of_a_foreign_task_names_task_groups() -> None:
    """A helper with several steps would get another key there on every replay."""

    async def helper(number: int) -> int:
        return await double(await double(number))

    @workflow
    async def foreign() -> list[int]:
        return [*await asyncio.gather(helper(1), helper(2))]

    ended = await life(foreign, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert ended.error.startswith(f"{NotInBranchTask.__name__}: ")
    assert "async with TaskGroup() as group" in ended.error


async def test_steps_handed_to_gather_have_the_keys_of_their_calls() -> None:
    """The keys do not depend on which of the steps begins first."""

    @workflow
    async def gathering() -> list[int]:
        second = double(2)
        first = double(1)
        return [*await asyncio.gather(first, second)]

    core = Core()
    ended = await life(gathering, core)

    assert ended == Ended(Outcome.DONE, b"[2,4]")
    assert b'"call": {"number": "2"}' in core.states["double#1"]


async def test_a_key_is_given_to_one_call() -> None:
    """A second call with the key would get the result of the first."""

    @workflow
    async def keyed() -> str:
        await double.keyed("k")(1)
        try:
            await halve.keyed("k")(2)  # Another step's is another key.
            await double.keyed("k")(1)
        except WorkflowError as error:
            return str(error)
        return ""

    ended = await life(keyed, Core())

    assert ended is not None
    assert b"the key 'k' is taken" in ended.output


@pytest.mark.parametrize("made", [staticmethod(print), functools.partial(print), print])
def test_a_step_is_a_function(made: Callable[..., None]) -> None:
    """The decorator refuses what is no function."""
    with pytest.raises(TypeError, match="above @step"):
        step(made)


def test_a_step_does_not_yield() -> None:
    """Its result is saved whole."""

    def some() -> Iterator[int]:
        yield 1

    async def many() -> AsyncIterator[int]:
        yield 1

    for made in (some, many):
        with pytest.raises(TypeError, match="return a list"):
            step(made)
