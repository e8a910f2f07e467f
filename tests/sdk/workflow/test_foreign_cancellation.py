"""What user code cancels is recorded, and cancelled again at the same call by every replay."""

import asyncio
import time
from collections.abc import Awaitable

import anyio
import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.outcomes_got import (
    all_got,
    goes_on_as_it_went,
    new_record,
    received,
    to_its_end,
)
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    NotDone,
    Outcome,
    TaskGroup,
    current,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)
from runtara_sdk.client.records import SignalType
from runtara_sdk.workflow import Workflow

pytestmark = pytest.mark.slow


@step
async def note(name: str) -> str:
    return name


@step
async def hang(name: str) -> str:
    probe.counts[name] += 1
    await asyncio.get_running_loop().create_future()
    return name


@step(effect="external")
async def pay(name: str) -> str:
    probe.counts[current().idempotency_key] += 1
    await asyncio.sleep(0.01)
    return name


@pay.in_doubt
async def find_payment(name: str) -> str | NotDone:
    return name if probe.counts[current().idempotency_key] else NotDone()


@step
def read(name: str) -> str:
    time.sleep(0.002)
    return name


async def waiting(name: str, call: Awaitable[object]) -> None:
    try:
        await call
    except asyncio.CancelledError:
        received(f"{name} cancelled")
        raise
    received(name)


async def failing(name: str) -> None:
    received(await note.keyed(name)(name))
    raise ValueError(name)


@workflow
async def by_siblings() -> str:
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(waiting(f"p{number}", promise("x", str, key=f"{number}")))
            group.create_task(waiting("hangs", hang.keyed("h")("h")))
            group.create_task(failing("fails"))
    except* ValueError:
        received(await note("failed"))
    return all_got()


@workflow
async def by_anyio_siblings() -> str:
    try:
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(waiting, f"s{number}", sleep("1d", key=f"{number}"))
            group.start_soon(failing, "fails")
    except* ValueError:
        received(await note("failed"))
    return all_got()


@workflow
async def by_asyncio_timeout() -> str:
    async def one(name: str) -> None:
        try:
            async with asyncio.timeout(0.01):
                await waiting(name, promise("x", str, key=name))
        except TimeoutError:
            received(await note.keyed(name)(f"{name} late"))

    await asyncio.gather(one("a"), one("b"))
    try:
        async with asyncio.timeout(0.01):
            await waiting("own", sleep("1d"))
    except TimeoutError:
        received(await note("own late"))
    return all_got()


@workflow
async def by_move_on_after() -> str:
    with anyio.move_on_after(0.01):
        async with anyio.create_task_group() as group:
            group.start_soon(waiting, "a", promise("x", str, key="a"))
            group.start_soon(waiting, "b", hang.keyed("b")("b"))
            group.start_soon(waiting, "c", sleep("1d", key="c"))
    received(await note("moved on"))
    return all_got()


@workflow
async def round_a_group_of_ours() -> str:
    try:
        async with asyncio.timeout(0.01):
            async with TaskGroup() as group:
                group.create_task(waiting("a", sleep("1d")), name="a")
                group.create_task(note("b"), name="b")
    except TimeoutError:
        received(await note("late"))
    return all_got()


@workflow(suspend_after="0s")
async def by_a_timeout_of_ours() -> str:
    try:
        async with timeout("1h"), asyncio.TaskGroup() as group:
            group.create_task(waiting("a", sleep("1d", key="a")))
            group.create_task(waiting("b", promise("x", str, key="b")))
    except TimeoutError:
        received(await note("late"))
    return all_got()


@workflow
async def of_effects() -> str:
    """What its sibling cancels while it is under way is let end, and cancelled then."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(waiting("paid", pay.keyed("a")("a")))
            group.create_task(waiting("read", read.keyed("b")("b")))
            group.create_task(failing("fails"))
    except* ValueError:
        received(await note("failed"))
    return all_got()


@workflow
async def at_the_end_of_a_branch() -> str:
    async def branch() -> None:
        left.append(asyncio.create_task(waiting("left", sleep("1d", key="left"))))
        received(await note("branch"))

    left: list[asyncio.Task[None]] = []
    async with TaskGroup() as group:
        group.create_task(branch(), name="b")
    received(await note("joined"))
    return all_got()


@workflow(suspend_after="0s")
async def with_its_instance() -> str:
    async with anyio.create_task_group() as group:
        group.start_soon(waiting, "a", sleep("1d", key="a"))
        group.start_soon(waiting, "b", promise("x", str, key="b"))
        try:
            await waiting("own", sleep("2d"))
        finally:
            received(await note("cleaned up"))
    return all_got()


FLOWS = [
    of_effects,
    at_the_end_of_a_branch,
    by_siblings,
    by_anyio_siblings,
    by_asyncio_timeout,
    by_move_on_after,
    round_a_group_of_ours,
    by_a_timeout_of_ours,
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
async def test_what_code_cancels_is_cancelled_again(flow: Workflow[[], object]) -> None:
    """A replay cancels the same calls in the same order, wherever earlier runs were killed."""
    outcomes = await goes_on_as_it_went(flow)

    assert any("cancelled" in one for one in outcomes)


async def test_what_was_cancelled_is_never_made_again() -> None:
    """A replay waits at the call instead, until the code cancels it."""
    core = Core()
    first = await to_its_end(by_move_on_after, core)
    core.ended = None

    assert await to_its_end(by_move_on_after, core) == first
    assert probe.counts == {"b": 1}
    assert b'"~code"' in core.states["hang~b"]


async def test_an_effect_that_code_cancels_is_let_end_and_saved() -> None:
    """The effect happens once, wherever a run is killed, and its result is saved."""
    core = Core()
    await to_its_end(of_effects, core)

    assert b'"result"' in core.states["pay~a"]
    assert b'"~code"' in core.states["pay~a!struck"]
    core.ended = None
    await to_its_end(of_effects, core)
    assert set(probe.counts.values()) == {1}


async def test_a_cancel_of_the_instance_cancels_calls_of_foreign_tasks() -> None:
    """Clean-up of theirs and of the branch goes the same way after a crash."""

    async def cancel(core: Core) -> None:
        await core.tell(SignalType.CANCEL)

    outcomes = await goes_on_as_it_went(with_its_instance, Outcome.CANCELLED, cancel)

    assert {"a cancelled", "b cancelled", "own cancelled"} <= set(outcomes)


async def test_a_timer_of_asyncio_keeps_the_process_and_a_warning_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is saved nowhere: the process stays until it is due, and may be suspended then."""

    @workflow(suspend_after="10ms")
    async def flow() -> str:
        try:
            async with asyncio.timeout(0.2):
                await promise("x", str)
        except TimeoutError:
            received("late")
        await promise("y", str)
        return all_got()

    outcomes = new_record()
    ended = await life(flow, Core(clock_runs=True))

    assert ended is not None
    assert ended.outcome is Outcome.SUSPENDED
    assert outcomes == ["late"]
    assert [one.getMessage() for one in caplog.records if "timeout(...)" in one.getMessage()]
