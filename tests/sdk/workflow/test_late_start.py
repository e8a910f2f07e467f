"""The start record of an instance whose input the core keeps: it is saved with the first other."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import SignalType
from runtara_sdk.workflow import (
    Ended,
    Outcome,
    Workflow,
    continue_as_new,
    execute,
    promise,
    sleep,
    step,
    workflow,
)
from runtara_sdk.workflow.engine.observer import Event, Recorded, RunBegun, RunEnded, StepBegun
from runtara_sdk.workflow.engine.records import Kind
from runtara_sdk.workflow.engine.store import Saved


def core(**given: Any) -> Core:
    return Core(input=b"4", keeps_input=True, **given)


@step
async def double(number: int) -> int:
    probe.seen.append(str(number))
    return 2 * number


@workflow
async def doubling(number: int) -> int:
    return await double(number)


@workflow(suspend_after="0s")
async def walking(number: int) -> list[int]:
    both = await asyncio.gather(double(number), double(number + 1))
    await sleep("1d")
    return [*both, await promise("last", int)]


@workflow(suspend_after="0s")
async def resting(number: int) -> int:
    await sleep("1d")
    return number


@workflow
async def restarting(number: int) -> int:
    if number < 5:
        await continue_as_new(number + 1)
    return number


@workflow
async def idle(number: int) -> int:
    return number


def dying_at(number: int, *, is_done: bool) -> Callable[[str, bool], bool]:
    calls = itertools.count()
    return lambda call, after: after == is_done and next(calls) == number


async def test_the_first_record_brings_it() -> None:
    """The first step runs before anything is saved."""
    events: list[Event] = []
    mine = core()

    ended = await execute(
        doubling, MemoryStore(mine), observers=[lambda _, event: events.append(event)]
    )

    assert events == [
        RunBegun("doubling"),
        StepBegun("double#1", 1),
        Recorded("~workflow", Kind.START),
        Recorded("double#1", Kind.RESULT),
        RunEnded(ended),
    ]
    assert ended == Ended(Outcome.DONE, b"8")
    assert list(mine.states) == ["~workflow", "double#1"]


@pytest.mark.parametrize("flow", [doubling, walking, resting, idle])
async def test_a_process_may_die_at_any_call(flow: Workflow[[int], Any]) -> None:
    """The instance ends as if it had not, and never has a record without a start record."""
    whole = core(sent={"last": b"7"})
    expected = await lives(flow, whole)
    for number, is_done in itertools.product(range(len(whole.calls)), (False, True)):
        crashed = core(sent={"last": b"7"})
        died = await life(flow, crashed, dies=dying_at(number, is_done=is_done))
        first = next(iter(crashed.states), "~workflow")

        assert first == "~workflow", (number, is_done)
        assert died is None or died.outcome is Outcome.SUSPENDED
        assert await lives(flow, crashed) == expected
        assert sorted(crashed.states) == sorted(whole.states)


async def test_each_record_brings_it_until_one_is_answered() -> None:
    """Of saves that are under way at once, any may be stored first."""
    brought: list[str | None] = []
    together = asyncio.Barrier(2)

    class Together(MemoryStore):
        async def save(
            self, key: str, state: bytes, preceding: tuple[str, bytes] | None = None
        ) -> Saved:
            brought.append(preceding and preceding[0])
            if key.startswith("double"):
                await together.wait()
            return await super().save(key, state, preceding)

    @step
    async def increase(number: int) -> int:
        return number + 1

    @workflow
    async def adding(number: int) -> int:
        return await increase(sum(await asyncio.gather(double(number), double(number + 1))))

    await execute(adding, Together(core()))

    assert brought == ["~workflow", "~workflow", None]


@pytest.mark.parametrize("flow", [resting, idle, restarting])
async def test_a_run_without_a_record_saves_it_before_it_leaves(flow: Workflow[[int], int]) -> None:
    """A run that sleeps, ends or goes on as another instance leaves a start record."""
    mine = core()
    await life(flow, mine)

    assert mine.calls[0] == "save ~workflow"
    assert len(mine.calls) > 1


async def test_a_pause_leaves_it() -> None:
    """A run that is paused while it waits has a start record."""
    mine = core(told=SignalType.PAUSE)

    @workflow
    async def waiting(number: int) -> int:
        return await promise("go", int)

    ended = await execute(waiting, MemoryStore(mine))

    assert ended.outcome is Outcome.SUSPENDED
    assert list(mine.states) == ["~workflow"]


async def test_a_cancel_from_before_the_run_comes_before_its_first_step() -> None:
    """No answer to a save tells of it so early: the registration does."""
    mine = core(told=SignalType.CANCEL)

    assert (await lives(doubling, mine)).outcome is Outcome.CANCELLED
    assert probe.seen == []


async def test_an_input_given_by_hand_is_saved_before_the_first_step() -> None:
    """The core does not keep it: the next run, without an input, gets it by the start record."""
    mine = Core(keeps_input=True)

    @step
    async def look(number: int) -> list[str]:
        return list(mine.states)

    @workflow
    async def looking(number: int) -> list[str]:
        return await look(number)

    ended = await execute(looking, MemoryStore(mine), b"1")

    assert ended.output == b'["~workflow"]'
