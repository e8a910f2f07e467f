"""What no process was there to see in time ends as it would have ended."""

import asyncio
from datetime import timedelta

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    Ended,
    Outcome,
    SignalType,
    TaskGroup,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)


@workflow(suspend_after="0s")
async def approving() -> str:
    try:
        async with timeout("7d"):
            return await promise("approval", str)
    except TimeoutError:
        return "nobody approved"


@workflow(suspend_after="0s")
async def oversleeping() -> str:
    try:
        async with timeout("7d"):
            await sleep("5d")
            await sleep("5d")
    except TimeoutError:
        return "late"
    return "in time"


async def test_a_value_that_was_sent_wins_over_the_deadline() -> None:
    """The value wins even if the next process begins after the deadline."""
    core = Core()
    await life(approving, core)
    await core.send("approval", b'"granted"')
    core.now += timedelta(days=8)

    assert await life(approving, core) == Ended(Outcome.DONE, b'"granted"')


async def test_without_a_value_the_deadline_stands() -> None:
    """A value that comes later changes nothing."""
    core = Core()
    await life(approving, core)
    core.now += timedelta(days=8)
    ended = await life(approving, core)
    await core.send("approval", b'"granted"')
    core.ended = None

    assert ended == await life(approving, core) == Ended(Outcome.DONE, b'"nobody approved"')


async def test_a_cancel_wins_over_a_value() -> None:
    """A pending cancel is raised although a value was sent."""
    core = Core()
    await life(approving, core)
    await core.send("approval", b'"granted"')
    await core.tell(SignalType.CANCEL)

    assert await life(approving, core) == Ended(Outcome.CANCELLED)


@pytest.mark.parametrize("days", [6, 8, 11, 30])
async def test_a_sleep_that_ends_behind_a_deadline_is_struck(days: int) -> None:
    """It is cancelled whether a process runs in between or when both are over."""
    core = Core()
    await life(oversleeping, core)
    core.now += timedelta(days=5)
    await life(oversleeping, core)
    core.now += timedelta(days=days - 5)
    ended = await life(oversleeping, core)
    if days < 7:
        assert ended == Ended(Outcome.SUSPENDED)
        core.now += timedelta(days=1)
        ended = await life(oversleeping, core)
    core.ended = None

    assert ended == await life(oversleeping, core) == Ended(Outcome.DONE, b'"late"')
    assert {key for key in core.states if "!" in key} == {"sleep#2!struck"}


async def test_a_sleep_in_clean_up_is_not_struck_by_the_deadline_that_is_over() -> None:
    """That deadline was already raised in the branch."""

    @workflow(suspend_after="0s")
    async def cleaning() -> str:
        try:
            async with timeout("1h"):
                try:
                    await promise("never", int)
                finally:
                    await sleep("1d")
        except TimeoutError:
            return "cleaned"
        return "in time"

    core = Core()
    ended = None
    for _ in range(3):
        ended = await life(cleaning, core)
        core.now += timedelta(days=3)

    assert ended == Ended(Outcome.DONE, b'"cleaned"')


@pytest.mark.parametrize("days", [8, 11])
async def test_a_sleeping_branch_is_struck_with_its_group(days: int) -> None:
    """Its sleep raises, even if it is over when a process begins."""
    returned: list[str] = []

    async def branch() -> None:
        await sleep("10d")
        returned.append("returned")

    @workflow(suspend_after="0s")
    async def grouped() -> str:
        try:
            async with timeout("7d"), TaskGroup() as group:
                group.create_task(branch(), name="one")
        except TimeoutError:
            return "late"
        return "in time"

    core = Core()
    await life(grouped, core)
    core.now += timedelta(days=days)

    assert await life(grouped, core) == Ended(Outcome.DONE, b'"late"')
    assert returned == []
    assert b'"group#1"' in core.states["one/sleep#1!struck"]


async def test_a_sleep_over_a_deadline_is_struck_by_the_clock_alone() -> None:
    """It is cancelled even if an effect holds its group back, of which a replay knows nothing."""
    seen: list[str] = []
    opened = asyncio.Event()

    @step(effect="external")
    async def pay() -> None:
        await opened.wait()

    async def sleeper() -> None:
        try:
            await sleep(0.02)
            seen.append("slept")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            opened.set()

    @workflow
    async def flow() -> str:
        try:
            async with timeout(0.01), TaskGroup() as group:
                group.create_task(sleeper(), name="sleeper")
                await pay()
        except TimeoutError:
            return "late"
        return "in time"

    core = Core(clock_runs=True)
    assert await life(flow, core) == Ended(Outcome.DONE, b'"late"')
    core.ended = None

    assert await life(flow, core) == Ended(Outcome.DONE, b'"late"')
    assert seen == ["cancelled", "cancelled"]
