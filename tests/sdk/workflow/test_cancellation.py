"""Cancels and timeouts are raised only at durable calls, and again there on replay."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    Outcome,
    SignalType,
    TaskGroup,
    now,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)
from runtara_sdk.workflow import execute


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


@step
async def hang() -> None:
    probe.events["begun"].set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        probe.seen.append("hang ended")


@step(effect="external")
async def pay() -> str:
    probe.events["begun"].set()
    await probe.events["opened"].wait()
    return "paid"


@workflow
async def hanging() -> None:
    try:
        await hang()
    finally:
        await note("cleaned")


@workflow
async def paying() -> str:
    paid = await pay()
    try:
        await note("after")
    except asyncio.CancelledError:
        await note("cancelled after it")
        raise
    return paid


async def running(flow: Callable[[], Awaitable[Ended]]) -> "asyncio.Task[Ended]":
    async def run() -> Ended:
        return await flow()

    task = asyncio.create_task(run())
    await probe.events["begun"].wait()
    return task


async def test_a_cancel_ends_a_step_and_lets_the_workflow_clean_up() -> None:
    """It is acknowledged after the clean-up, and a replay cancels the same call."""
    core = Core()
    task = await running(lambda: execute(hanging, MemoryStore(core), clock=core.clock))
    await core.tell(SignalType.CANCEL)
    ended = await task
    assert core.calls[-3:] == ["save hang#1", "save note#1", "acknowledge cancel"]
    core.told = SignalType.CANCEL
    again = await life(hanging, core)

    assert ended == again == Ended(Outcome.CANCELLED)
    assert probe.seen == ["hang ended", "cleaned"]


async def test_an_effect_is_not_ended_by_a_cancel() -> None:
    """The effect is awaited and saved, and the next durable call is cancelled."""
    core = Core()
    task = await running(lambda: execute(paying, MemoryStore(core), clock=core.clock))
    await core.until(lambda: core.listeners == 1)
    await core.tell(SignalType.CANCEL)
    await core.until(lambda: core.listeners == 0)
    probe.events["opened"].set()

    assert await task == Ended(Outcome.CANCELLED)
    assert probe.seen == ["cancelled after it"]
    assert b'"paid"' in core.states["pay#1"]


async def test_a_replay_cancels_nothing() -> None:
    """A pending cancel is raised at the first call that is live."""

    @workflow(suspend_after="0s")
    async def walking() -> None:
        await note("one")
        await note("two")
        try:
            await sleep("1d")
        except asyncio.CancelledError:
            await note("cancelled")
            raise

    core = Core()
    await life(walking, core)
    await core.tell(SignalType.CANCEL)
    ended = await lives(walking, core)

    assert ended == Ended(Outcome.CANCELLED)
    assert probe.seen == ["one", "two", "cancelled"]


async def test_a_timeout_counts_from_its_first_entry() -> None:
    """Over several processes TimeoutError is raised at the same call on every replay."""

    @workflow(suspend_after="0s")
    async def limited() -> str:
        began = await now()
        try:
            async with timeout("2d"):
                await sleep("1d")
                await promise("never", int)
        except TimeoutError:
            passed = await now() - began
            return f"{passed.days}"
        return "in time"

    core = Core()
    ended = await lives(limited, core)
    core.ended = None
    core.now += timedelta(days=10)

    assert ended == await lives(limited, core) == Ended(Outcome.DONE, b'"2"')


async def test_an_inner_and_an_outer_timeout_are_distinguished() -> None:
    """Each of the two raises TimeoutError where it was entered."""

    @workflow(suspend_after="0s")
    async def nested() -> str:
        try:
            async with timeout("1h"):
                try:
                    async with timeout("2h"):
                        await promise("never", int)
                except TimeoutError:
                    return "inner"
        except TimeoutError:
            return "outer"
        return "none"

    assert await lives(nested, Core()) == Ended(Outcome.DONE, b'"outer"')


async def test_a_timeout_around_a_group_ends_its_branches() -> None:
    """Every branch cleans up before TimeoutError is raised."""

    async def branch(name: str) -> None:
        try:
            await sleep("9d")
        finally:
            await note(name)

    @workflow(suspend_after="0s")
    async def grouped() -> str:
        try:
            async with timeout("1h"), TaskGroup() as group:
                for name in ("one", "two"):
                    group.create_task(branch(name), name=name)
        except TimeoutError:
            return "late"
        return "in time"

    core = Core()
    assert await lives(grouped, core) == Ended(Outcome.DONE, b'"late"')
    assert sorted(probe.seen) == ["one", "two"]
    core.ended = None
    assert await lives(grouped, core) == Ended(Outcome.DONE, b'"late"')
    assert sorted(probe.seen) == ["one", "two"]


async def test_a_branch_that_fails_ends_the_others_and_the_body() -> None:
    """A replay raises the same ExceptionGroup of all errors."""

    async def failing() -> None:
        await note("failing")
        raise ValueError("failed")

    async def waiting() -> None:
        try:
            await sleep("9d")
        finally:
            await note("ended")

    @workflow(suspend_after="0s")
    async def grouped() -> list[str]:
        try:
            async with TaskGroup() as group:
                group.create_task(waiting(), name="waiting")
                group.create_task(failing(), name="failing")
                await sleep("8d")
        except ExceptionGroup as errors:
            return [str(error) for error in errors.exceptions]
        return []

    core = Core()
    first = await lives(grouped, core)
    core.ended = None

    assert first == await lives(grouped, core) == Ended(Outcome.DONE, b'["failed"]')
    assert probe.seen == ["failing", "ended"]


async def test_a_step_handed_to_a_group_is_ended_with_it() -> None:
    """The group cancels the step although its key belongs to the branch that called it."""

    async def failing() -> None:
        await probe.events["begun"].wait()
        await note("failing")
        raise ValueError("failed")

    @workflow
    async def grouped() -> None:
        async with TaskGroup() as group:
            group.create_task(hang(), name="hang")
            group.create_task(failing(), name="failing")

    core = Core()
    ended = await life(grouped, core)

    assert ended is not None
    assert "ValueError: failed" in ended.error
    assert probe.seen == ["failing", "hang ended"]
    assert set(core.states) == {"~workflow", "failing/note#1", "hang#1", "group#1"}
