"""A run that waits is abandoned: its process ends, and nothing of its code goes on in another."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life
from tests.sdk.workflow.probe import probe

from runtara_sdk import Ended, Outcome, Retry, promise, sleep, step, timeout, workflow
from runtara_sdk.workflow import execute

SUSPENDED = Ended(Outcome.SUSPENDED)


class Times(Core):
    """A core whose clock is the loop's: timers and clock agree."""

    def clock(self) -> datetime:
        return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)


async def passed(seconds: float) -> None:
    """Wait until timers set for so long have fired."""
    fired = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, fired.set)
    await fired.wait()


async def core_of_the_loop() -> Times:
    core = Times()
    core.now = core.clock()
    return core


async def test_an_abandoned_run_never_goes_on() -> None:
    """Its process lives on, and its sleep and its timeout come to their end without effect."""

    @workflow(suspend_after="0s")
    async def napping() -> None:
        try:
            async with timeout("0.6s"):
                await sleep("0.5s")
                probe.seen.append("went on")
        finally:
            probe.seen.append("finally")

    ended = await life(napping, await core_of_the_loop())
    await passed(0.7)

    assert (ended, probe.seen) == (SUSPENDED, [])


async def test_an_abandoned_step_makes_no_further_attempt() -> None:
    """The next attempt belongs to another run."""

    @step(retry=Retry(attempts=3, wait="0.5s", cap="0.5s"))
    async def flaky() -> None:
        probe.seen.append("attempt")
        raise ConnectionError

    @workflow(suspend_after="0s")
    async def trying() -> None:
        await flaky()

    ended = await life(trying, await core_of_the_loop())
    await passed(0.7)

    assert (ended, probe.seen) == (SUSPENDED, ["attempt"])


async def test_a_step_that_ends_in_an_abandoned_run_is_not_gone_on_from() -> None:
    """Its run was ended from outside, or a newer run has begun."""
    begun, opened, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @step
    async def slow() -> None:
        begun.set()
        await opened.wait()
        ended.set()

    @workflow
    async def going_on() -> None:
        await slow()
        probe.seen.append("went on")

    core = Core()
    running = asyncio.create_task(execute(going_on, MemoryStore(core), clock=core.clock))
    await begun.wait()
    running.cancel()
    await asyncio.wait({running})
    opened.set()
    await ended.wait()
    await passed(0)

    assert probe.seen == []


async def test_a_step_that_ends_beside_a_sleep_releases_the_process() -> None:
    """All that is left to do is to wait."""

    @step
    async def slow() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    @workflow(suspend_after="0s")
    async def gathering() -> None:
        await asyncio.gather(sleep("3d"), slow())

    async with asyncio.timeout(60):
        assert await life(gathering, Core()) == SUSPENDED


@pytest.mark.parametrize("iterations", range(12))
async def test_a_run_can_be_ended_in_any_iteration_of_the_loop(iterations: int) -> None:
    """This includes the iterations in which it begins to poll."""
    begun = asyncio.Event()

    @step
    async def beginning() -> None:
        begun.set()

    @workflow
    async def asking() -> None:
        await beginning()
        await promise("never", int)

    core = Core()
    running = asyncio.create_task(execute(asking, MemoryStore(core), clock=core.clock))
    await begun.wait()
    for _ in range(iterations):
        await asyncio.sleep(0)
    running.cancel()

    async with asyncio.timeout(60):
        await asyncio.wait({running})


def test_the_end_of_the_loop_unwinds_no_generator() -> None:
    """asyncio would close a generator that it knows of."""

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            probe.seen.append("finally")

    @workflow(suspend_after="0s")
    async def iterating() -> None:
        async for _ in numbers():
            await sleep("1d")

    ended = asyncio.run(execute(iterating, MemoryStore(core := Core()), clock=core.clock))

    assert (ended, probe.seen) == (SUSPENDED, [])


def test_a_generator_in_a_step_is_closed_with_the_loop() -> None:
    """Generators in steps are asyncio's, as everywhere."""

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            probe.seen.append("finally")

    kept = numbers()

    @step
    async def beginning() -> int:
        return await anext(kept)

    @workflow
    async def iterating() -> int:
        return await beginning()

    ended = asyncio.run(execute(iterating, MemoryStore(core := Core()), clock=core.clock))

    assert (ended, probe.seen) == (Ended(Outcome.DONE, b"1"), ["finally"])
