"""A cancellation is raised once in each branch, and is not lost where another error hides it."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

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
from runtara_sdk.workflow import Workflow, execute

CANCELLED = Ended(Outcome.CANCELLED)


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


@step
async def hang() -> None:
    probe.begun.release()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        probe.events["hung"].set()


@step(effect="external")
async def pay() -> str:
    probe.begun.release()
    await probe.events["opened"].wait()
    return "paid"


async def cancelled_in(flow: Workflow[[], Any], hanging: int = 1) -> tuple[Ended, Core]:
    """Run until so many steps hang, then cancel; a replay of all of it ends alike."""
    core = Core()
    task = asyncio.create_task(lives(flow, core))
    for _ in range(hanging):
        await probe.begun.acquire()
    await core.tell(SignalType.CANCEL)
    async with asyncio.timeout(60):
        ended = await task
        await replayed(flow, core, ended)
    return ended, core


async def replayed(flow: Workflow[[], Any], core: Core, ended: Ended) -> None:
    """Run it again from any prefix of what it saved: it ends alike, if the cancel is pending."""
    states, before = dict(core.states), list(probe.seen)
    for count in range(1, len(states) + 1):
        again = Core(states=dict(itertools.islice(states.items(), count)), now=core.now)
        again.told = SignalType.CANCEL if ended == CANCELLED else None
        assert await lives(flow, again) == ended, list(again.states)
    probe.seen[:] = before


async def test_a_timeout_hides_no_cancel_that_struck_its_clean_up() -> None:
    """The cancel goes on past the timeout, as it does in asyncio."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        try:
            async with timeout("1h"):
                try:
                    await sleep("1d")
                finally:
                    await hang()
        except TimeoutError:
            return await note("hidden")
        return "in time"

    ended, _ = await cancelled_in(flow)

    assert (ended, probe.seen) == (CANCELLED, [])


async def test_a_timeout_hides_no_outer_one_that_struck_its_clean_up() -> None:
    """The outer timeout raises TimeoutError where it was entered."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        try:
            async with timeout("2h"):
                try:
                    async with timeout("1h"):
                        try:
                            await sleep("1d")
                        finally:
                            await sleep("3h")
                except TimeoutError:
                    return "inner"
        except TimeoutError:
            return "outer"
        return "none"

    core = Core()
    ended = await lives(flow, core)
    await replayed(flow, core, ended)

    assert ended == Ended(Outcome.DONE, b'"outer"')


async def test_a_timeout_in_clean_up_raises_as_any_other() -> None:
    """A cancellation from before its entry does not hinder a timeout in clean-up."""

    @workflow
    async def flow() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            try:
                async with timeout("0s"):
                    await note("never")
            except TimeoutError:
                await note("late")
            raise

    ended, _ = await cancelled_in(flow)

    assert (ended, probe.seen) == (CANCELLED, ["late"])


async def test_a_group_whose_branches_fail_hides_no_cancel() -> None:
    """The cancel is raised again once the branches' errors were handled."""

    async def child() -> None:
        try:
            await hang()
        finally:
            raise ValueError("in clean-up")

    @workflow
    async def flow() -> None:
        try:
            async with TaskGroup() as group:
                group.create_task(child(), name="a")
        except* ValueError:
            await note("dealt with")
        await note("never")

    ended, core = await cancelled_in(flow)

    assert (ended, probe.seen) == (CANCELLED, ["dealt with"])
    assert list(core.states)[-1] == "note#2"


async def test_gather_hides_no_cancel() -> None:
    """The branch's next durable call is cancelled."""

    @workflow
    async def flow() -> None:
        await asyncio.gather(hang(), hang(), return_exceptions=True)
        await note("never")

    ended, _ = await cancelled_in(flow, hanging=2)

    assert (ended, probe.seen) == (CANCELLED, [])


async def test_a_cancel_that_gather_shows_is_not_raised_again() -> None:
    """Clean-up may make durable calls, in handlers and behind them."""

    async def cleaned(text: str) -> None:
        await note(text)

    @workflow
    async def flow() -> None:
        try:
            await asyncio.gather(hang(), hang())
        except asyncio.CancelledError:
            await cleaned("in it")
        await note("behind it")
        raise asyncio.CancelledError

    ended, _ = await cancelled_in(flow, hanging=2)

    assert (ended, probe.seen) == (CANCELLED, ["in it", "behind it"])


async def test_gather_hides_no_timeout() -> None:
    """A timeout of a sleep or a promise in gather is raised, whether gather shows it or not."""

    @workflow(suspend_after="0s")
    async def flow() -> list[str]:
        late = []
        for is_hidden in (True, False):
            try:
                async with timeout("1h"):
                    waits = sleep("1d"), promise("never", int)
                    await asyncio.gather(*waits, return_exceptions=is_hidden)
                    await note("never")
            except TimeoutError:
                late.append(await note("late"))
        return late

    core = Core()
    ended = await lives(flow, core)
    await replayed(flow, core, ended)

    assert ended == Ended(Outcome.DONE, b'["late","late"]')


async def test_a_cancel_raised_in_a_task_of_asyncio_reaches_the_workflow_too() -> None:
    """The next durable call is cancelled even if the workflow never awaits the task."""

    @workflow
    async def flow() -> None:
        task = asyncio.create_task(hang())
        await pay()
        await note("never")
        await task

    core = Core()
    task = asyncio.create_task(execute(flow, MemoryStore(core), clock=core.clock))
    await probe.begun.acquire()
    await probe.begun.acquire()
    await core.tell(SignalType.CANCEL)
    await probe.events["hung"].wait()
    probe.events["opened"].set()

    assert (await task, probe.seen) == (CANCELLED, [])


async def failing() -> None:
    await probe.begun.acquire()
    raise ValueError("failed")


async def test_a_group_cancels_its_body_though_it_cancelled_a_step_handed_to_it() -> None:
    """Each branch is cancelled once, and so is the branch that has the group."""

    @workflow(suspend_after="0s")
    async def flow() -> None:
        async with TaskGroup() as group:
            group.create_task(hang(), name="handed over")
            group.create_task(failing(), name="failing")
            await pay()
            await promise("never", int)

    core = Core()
    task = asyncio.create_task(life(flow, core))
    await probe.events["hung"].wait()
    probe.events["opened"].set()
    ended = await task

    assert ended is not None
    assert (ended.outcome, "ValueError: failed" in ended.error) == (Outcome.FAILED, True)
    assert b'"group#1"' in core.states["promise:never#1"]


async def test_a_step_handed_over_with_its_clean_up_is_struck_once() -> None:
    """The clean-up belongs to the branch that awaits it, whichever branch called the step."""

    async def wrapped(call: Coroutine[Any, Any, None]) -> None:
        try:
            await call
        finally:
            await note("one")
            await note("two")

    @workflow
    async def flow() -> None:
        async with TaskGroup() as group:
            group.create_task(wrapped(hang()), name="wrapped")
            group.create_task(failing(), name="failing")

    ended = await life(flow, Core())

    assert ended is not None
    assert (ended.outcome, probe.seen) == (Outcome.FAILED, ["one", "two"])


async def test_a_timeout_in_the_branch_cancels_a_step_handed_to_it() -> None:
    """The timeout cancels the step as it cancels the branch's own calls."""

    async def limited(call: Coroutine[Any, Any, int]) -> str:
        try:
            async with timeout("1h"):
                return str(await call)
        except TimeoutError:
            return "late"

    @workflow(suspend_after="0s")
    async def flow() -> str:
        async with TaskGroup() as group:
            task = group.create_task(limited(promise("never", int)), name="limited")
        return task.result()

    assert await lives(flow, Core()) == Ended(Outcome.DONE, b'"late"')


@pytest.mark.parametrize("wait", [lambda: promise("never", int), lambda: sleep("10d")])
async def test_of_two_expired_timeouts_the_earlier_cancels(
    wait: Callable[[], Coroutine[Any, Any, object]],
) -> None:
    """The earlier deadline wins, however late a process runs."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        async with timeout("9d"):
            try:
                async with timeout("7d"):
                    await wait()
            except TimeoutError:
                return "inner"
        return "none"

    core = Core()
    await life(flow, core)
    core.now += timedelta(days=11)

    assert await life(flow, core) == Ended(Outcome.DONE, b'"inner"')


async def test_code_that_catches_a_cancel_and_goes_on_is_not_cancelled_again() -> None:
    """A cancel is raised once in a branch, and a replay goes the same way."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        try:
            await hang()
        except asyncio.CancelledError:
            probe.seen.append("caught")
        return await note("went on")

    core = Core()
    task = asyncio.create_task(lives(flow, core))
    await probe.begun.acquire()
    await core.tell(SignalType.CANCEL)
    ended = await task
    again = await lives(flow, Core(states=core.states, told=SignalType.CANCEL))

    assert ended == again == Ended(Outcome.DONE, b'"went on"')
    assert probe.seen == ["caught", "went on", "caught"]
