"""Only the branch that opened a group begins its branches, and the group waits for them."""

import asyncio

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    NondeterminismError,
    NotInBranchTask,
    Outcome,
    TaskGroup,
    continue_as_new,
    map_steps,
    patched,
    promise,
    sleep,
    step,
    workflow,
)


@step
async def work(number: int) -> int:
    probe.numbers.append(number)
    return number


async def test_a_branch_can_begin_none_beside_it() -> None:
    """The order of the branches' calls would decide which gets the first name."""

    async def child(group: TaskGroup) -> None:
        group.create_task(work(1), name="sub")

    @workflow
    async def spawning() -> str:
        try:
            async with TaskGroup() as group:
                group.create_task(child(group), name="child")
        except* NotInBranchTask as errors:
            said = str(errors.exceptions[0])
        return said

    ended = await life(spawning, Core())

    assert ended is not None
    assert b"create_task of group#1 in another branch" in ended.output
    assert b"open a TaskGroup in this branch" in ended.output
    assert probe.numbers == []


async def test_a_group_that_has_ended_begins_no_branch() -> None:
    """No code would wait for that branch."""

    @workflow
    async def late() -> str:
        async with TaskGroup() as group:
            pass
        with pytest.raises(RuntimeError, match="group#1 has ended"):
            group.create_task(work(1), name="late")
        return "refused"

    assert await life(late, Core()) == Ended(Outcome.DONE, b'"refused"')
    assert probe.numbers == []


async def test_a_branch_added_to_a_group_that_had_ended_is_a_change() -> None:
    """The change is found before any code of the branch runs, however the branch is added."""
    added: list[int] = []

    async def nested(number: int) -> None:
        async with TaskGroup() as group:
            group.create_task(work(number), name="inner")

    @workflow(suspend_after="0s")
    async def mapping() -> None:
        await map_steps(nested, [1, 2, *added], key=str)
        await sleep("1h")

    core = Core()
    await life(mapping, core)
    await life(mapping, core)
    added.append(99)
    with pytest.raises(
        NondeterminismError, match=r"'99/work#1' in a group whose branches had all ended"
    ):
        await life(mapping, core)

    assert probe.numbers == [1, 2]


async def test_a_group_that_failed_in_a_branch_is_passed_again() -> None:
    """The group's own end was not saved, and a replay takes that for no change."""

    async def failing() -> None:
        try:
            async with TaskGroup() as group:
                group.create_task(work(1), name="inner")
                raise ValueError
        except* ValueError:
            await work(2)

    @workflow(suspend_after="0s")
    async def flow() -> str:
        async with TaskGroup() as group:
            group.create_task(failing(), name="failing")
        await sleep("1h")
        return "done"

    assert await lives(flow, Core()) == Ended(Outcome.DONE, b'"done"')
    assert probe.numbers == [2]


async def test_a_group_that_is_added_behind_patched_is_none() -> None:
    """A change that `patched` declares is no change."""
    added: list[int] = []

    @workflow(suspend_after="0s")
    async def flow() -> str:
        await map_steps(work, [1], key=str)
        await sleep("1h")
        if await patched("more"):
            await map_steps(work, added, key=str)
        return "done"

    core = Core()
    await life(flow, core)
    added.append(2)

    assert await lives(flow, core) == Ended(Outcome.DONE, b'"done"')
    assert probe.numbers == [1, 2]


@pytest.mark.parametrize("where", ["branch", "group", "task"])
async def test_a_restart_leaves_nothing_behind(where: str) -> None:
    """continue_as_new is refused while calls are under way, and these go on."""
    begun, opened = asyncio.Event(), asyncio.Event()

    @step(effect="external")
    async def pay() -> str:
        begun.set()
        await opened.wait()
        return "paid"

    async def restarting() -> str:
        await begun.wait()
        try:
            await continue_as_new()
        except Exception as error:
            opened.set()
            return str(error)

    @workflow
    async def flow() -> str:
        if where == "task":
            paying = asyncio.create_task(pay())
            said = await restarting()
            await paying
            return said
        async with TaskGroup() as group:
            group.create_task(pay(), name="pay")
            if where == "group":
                return await restarting()
            task = group.create_task(restarting(), name="restarting")
        return task.result()

    core = Core()
    ended = await life(flow, core)

    assert ended is not None
    assert b"'pay#1'" in ended.output
    assert b"is under way, which would be lost" in ended.output
    assert (core.successors, b"paid" in core.states["pay#1"]) == ({}, True)


async def test_the_id_that_a_promise_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The id differs from the name where that has marks which keys use."""
    caplog.set_level("INFO")

    @workflow
    async def asking() -> int:
        return await promise("orders/17", int)

    ended = await life(asking, Core(sent={"orders%2F17": b"3"}))

    assert ended == Ended(Outcome.DONE, b"3")
    assert "waits for the custom signal 'orders%2F17' to instance 'i-1'" in caplog.text


async def test_a_branch_begun_where_another_has_failed_does_nothing() -> None:
    """The group is being cancelled, though its body does not know that yet."""

    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise LookupError("gone")

    @workflow
    async def flow() -> str:
        try:
            async with TaskGroup() as group:
                group.create_task(fail(), name="fails")
                await failed.wait()
                # The group learns of its end in the next iteration of the loop at the latest.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                group.create_task(work(1), name="late")
        except* LookupError:
            pass
        return "failed"

    core = Core()
    ended = await life(flow, core)
    again = await life(flow, Core(states=core.states))

    assert ended == again == Ended(Outcome.DONE, b'"failed"')
    assert probe.numbers == []
