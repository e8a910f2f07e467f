"""Keyed calls in tasks that the engine did not start give the same values in the same order."""

import asyncio
import json
from collections.abc import Awaitable

import anyio
import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.outcomes_got import all_got, goes_on_as_it_went, new_record, received

from runtara_sdk import NotInBranchTask, TaskGroup, promise, sleep, step, workflow
from runtara_sdk.workflow import Workflow

pytestmark = pytest.mark.slow


@step
async def work(name: str) -> str:
    # Later names end earlier, so that the order of ends is none of the calls'.
    for _ in range(60 - ord(name[0]) % 20 * 3):
        await asyncio.sleep(0)
    return name


@step
async def quick(name: str) -> str:
    return name


@step
def in_thread(name: str) -> str:
    return name


async def two(name: str) -> str:
    received(await work.keyed(f"{name}1")(f"{name}1"))
    received(await work.keyed(f"{name}2")(f"{name}2"))
    return name


@workflow
async def gathered() -> str:
    received(*await asyncio.gather(two("a"), two("b"), two("c")))
    return all_got()


@workflow
async def asyncio_group() -> str:
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(two(name))
    received(await work("end"))
    return all_got()


@workflow
async def anyio_group() -> str:
    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(two, name)
    return all_got()


@workflow
async def nested() -> str:
    async def outer(name: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(two(name))
            async with anyio.create_task_group() as inner:
                inner.start_soon(two, f"{name}x")
                received(await work.keyed(f"{name}y")(f"{name}y"))

    await asyncio.gather(outer("a"), outer("b"))
    return all_got()


@workflow
async def shared_workers() -> str:
    """Workers of one pool take what comes from the results of others."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def worker() -> None:
        while True:
            name = await queue.get()
            got = await work.keyed(name)(name)
            received(got)
            if len(got) < 3:
                queue.put_nowait(f"{got}{len(all_got())}")
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(2)]
        for name in "abc":
            queue.put_nowait(name)
        await queue.join()
        for each in workers:
            each.cancel()
    return all_got()


@workflow
async def beside_its_own_task() -> str:
    """What the branch itself awaits has a place in the order of the others."""
    async with asyncio.TaskGroup() as group:
        group.create_task(two("a"))
        group.create_task(two("c"))
        received(await work("b"))
        received(await work("d"))
    return all_got()


@workflow(suspend_after="0s")
async def of_all_kinds() -> str:
    async def one(name: str, call: Awaitable[object]) -> None:
        await call
        received(name)

    await asyncio.gather(
        one("slept", sleep("1d", key="x")),
        one("slept less", sleep("1h", key="y")),
        one("told", promise("news", str, key="z")),
        one("worked", work.keyed("a")("a")),
        one("in thread", in_thread.keyed("b")("b")),
        one("own", work("c")),
    )
    return all_got()


@workflow
async def in_branches_of_ours() -> str:
    async def branch(name: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(two(name))
            group.create_task(two(f"{name}x"))

    async with TaskGroup() as group:
        group.create_task(branch("a"), name="one")
        group.create_task(branch("b"), name="two")
    return all_got()


FLOWS = [
    gathered,
    asyncio_group,
    anyio_group,
    nested,
    shared_workers,
    beside_its_own_task,
    of_all_kinds,
    in_branches_of_ours,
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
async def test_a_run_that_is_killed_anywhere_goes_on_as_it_went(
    flow: Workflow[[], object],
) -> None:
    """The code gets after a crash all that it got before it, in the same order."""
    assert await goes_on_as_it_went(flow)


async def test_two_hundred_calls_at_once() -> None:
    """Each call keeps its place in the order, also when the run is killed among them."""

    @workflow
    async def many() -> str:
        async def one(number: int) -> None:
            received(await quick.keyed(f"{number}")(f"{number}"))

        await asyncio.gather(*map(one, range(200)))
        return all_got()

    outcomes = await goes_on_as_it_went(many, every=150)

    assert sorted(map(int, outcomes)) == list(range(200))


async def test_what_form_2_can_say_is_saved_in_form_2() -> None:
    """An instance that has no call in a foreign task can still go back to the version before."""

    @workflow
    async def plain() -> str:
        await sleep(0)
        return await work("a")

    forms = {}
    for flow in (plain, gathered):
        core = Core()
        new_record()
        await life(flow, core)
        forms[flow.name] = {json.loads(state).get("form") for state in core.states.values()}

    assert forms == {"plain": {2}, "gathered": {2, 3}}


async def test_calls_without_a_key_are_refused_in_foreign_tasks() -> None:
    """The error names both ways out."""

    @workflow
    async def unkeyed() -> None:
        await asyncio.gather(two_unkeyed())

    async def two_unkeyed() -> None:
        await work("a")

    ended = await life(unkeyed, Core())

    assert ended is not None
    assert "work.keyed(...)(...)" in ended.error
    assert "group.create_task(" in ended.error


async def test_calls_without_the_context_are_refused_while_a_run_is_live() -> None:
    """A task that was begun elsewhere does no work that nothing would save."""
    asked: asyncio.Queue[asyncio.Future[str]] = asyncio.Queue()

    async def pool() -> None:
        answer = await asked.get()
        try:
            answer.set_result(await work.keyed("a")("a"))
        except NotInBranchTask as error:
            answer.set_exception(error)

    worker = asyncio.create_task(pool())

    @workflow
    async def asking() -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await asked.put(answer)
        return await answer

    ended = await life(asking, Core())
    await worker

    assert ended is not None
    assert "was called beside the workflow" in ended.error
    assert await work("a") == "a"


async def test_a_call_in_a_thread_of_the_workflow_is_refused() -> None:
    """The thread carries the context, but another loop than the run's would await the call."""

    @workflow
    async def threading() -> str:
        return await asyncio.to_thread(lambda: asyncio.run(work.keyed("a")("a")))

    ended = await life(threading, Core())

    assert ended is not None
    assert ended.error.startswith(f"{NotInBranchTask.__name__}: ")
