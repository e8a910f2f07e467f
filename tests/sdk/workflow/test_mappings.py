"""Steps over many items: each a branch, so many at once."""

import asyncio
import threading

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Outcome, StepFailed, map_steps, step, workflow


async def test_a_mapping_that_fails_begins_no_more() -> None:
    """A replay begins those items that had begun."""
    seen: list[str] = []

    @step
    async def third_fails(number: int) -> int:
        seen.append(str(number))
        if number == 2:
            raise ValueError("third")
        return number

    @workflow
    async def mapping() -> list[int]:
        return await map_steps(third_fails, range(100), key=str, limit=1)

    core = Core()
    first = await life(mapping, core)
    core.ended = None
    again = await life(mapping, core)

    assert first is not None
    assert again is not None
    assert first.outcome is again.outcome is Outcome.FAILED
    assert (
        "step 'third_fails' (2/third_fails#1) failed after 1 attempt: ValueError: third"
        in first.error
    )
    assert seen == ["0", "1", "2"]
    assert set(core.states) == {
        "~workflow",
        "group#1",
        *(f"{n}/third_fails#1" for n in range(3)),
    }


@pytest.mark.parametrize("is_let_end", [False, True])
async def test_a_mapping_that_has_failed_can_be_replayed(is_let_end: bool) -> None:
    """In the replay an item that ran beside the failed one ends before it."""
    failed = asyncio.Event()

    @step(effect="external" if is_let_end else None)
    async def second_fails(number: int) -> int:
        if number == 1:
            raise ValueError("second")
        await failed.wait()
        return number

    async def one(number: int) -> int:
        try:
            return await second_fails(number)
        finally:
            failed.set()

    @workflow
    async def mapping() -> str:
        try:
            await map_steps(one, range(9), key=str, limit=2)
        except* StepFailed:
            pass
        return "failed"

    core = Core()
    first = await life(mapping, core)
    core.ended = None

    assert first == Ended(Outcome.DONE, output=b'"failed"')
    assert await life(mapping, core) == first
    assert {key for key in core.states if "second" in key and "!" not in key} == {
        "0/second_fails#1",
        "1/second_fails#1",
    }


async def test_at_most_so_many_of_a_mapping_run_at_once() -> None:
    """The limit holds, and all items are done."""
    at_once: list[int] = [0]

    @step
    async def counted(number: int) -> int:
        at_once.append(at_once[-1] + 1)
        await asyncio.sleep(0)
        at_once.append(at_once[-1] - 1)
        return number

    @workflow
    async def mapping() -> list[int]:
        return await map_steps(counted, range(20), key=str, limit=3)

    ended = await life(mapping, Core())

    assert ended == Ended(Outcome.DONE, str([*range(20)]).replace(" ", "").encode())
    assert max(at_once) == 3


async def test_each_item_needs_a_name_of_its_own() -> None:
    """Two items of the same name would get their keys by chance."""

    @step
    async def same(number: int) -> int:
        return number

    @workflow
    async def mapping() -> str:
        with pytest.raises(ValueError, match="'x' for more than one item"):
            await map_steps(same, [1, 2], key=lambda _: "x")
        return "refused"

    assert await life(mapping, Core()) == Ended(Outcome.DONE, b'"refused"')


async def test_plain_steps_run_in_as_many_threads() -> None:
    """There are more threads than asyncio has by itself."""
    all_here = threading.Barrier(40, timeout=20)

    @step
    def meeting(number: int) -> int:
        all_here.wait()
        return number

    @workflow
    async def mapping() -> int:
        return len(await map_steps(meeting, range(40), key=str, limit=40))

    assert await life(mapping, Core()) == Ended(Outcome.DONE, b"40")
