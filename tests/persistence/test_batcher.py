"""When a batcher that executes groups in tasks chooses a group, and when it executes it."""

import asyncio
import types
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

import pytest

from runtara_persistence.batcher import TaskBatcher, Waiting


def eager(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> "asyncio.Task[Any]":
    """Run a coroutine at once up to its first wait, as the eager factory of Python 3.12 does."""
    first = coroutine.send(None)

    @types.coroutine
    def rest() -> Generator[Any, Any, Any]:
        yield first
        return (yield from coroutine)

    return asyncio.Task(rest(), loop=loop, **options)


@pytest.mark.parametrize("lead", [1, 2, 3])
@pytest.mark.parametrize("factory", [None, eager])
async def test_a_group_is_executed_in_the_iteration_in_which_it_is_chosen(
    lead: int, factory: Any
) -> None:
    """
    Steps that come before that iteration join the group; later steps make the next one.

    This is so whatever factory makes the loop's tasks.
    """
    asyncio.get_running_loop().set_task_factory(factory)
    groups: list[list[str]] = []

    async def execute(steps: Sequence[str]) -> Sequence[str]:
        groups.append(list(steps))
        await asyncio.sleep(0)
        return steps

    batcher = TaskBatcher[str, str](execute, most=10, groups=1, lead=lead)
    futures = []
    for iteration in range(lead + 1):
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        futures.append(future)
        batcher.add(Waiting(f"step {iteration}", future))
        assert groups == ([] if iteration < lead else [[f"step {each}" for each in range(lead)]])
        await asyncio.sleep(0)
    await batcher.finished()
    asyncio.get_running_loop().set_task_factory(None)

    assert groups[1:] == [[f"step {lead}"]]
    assert [future.result() for future in futures] == [f"step {each}" for each in range(lead + 1)]


async def test_a_group_that_hangs_delays_the_next_ones_only_for_a_while() -> None:
    """The next groups are executed beside it, one at a time, and it ends as any other."""
    hangs = asyncio.Event()
    groups: list[list[str]] = []
    at_once = most_at_once = 0

    async def execute(steps: Sequence[str]) -> Sequence[str]:
        nonlocal at_once, most_at_once
        groups.append(list(steps))
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await (hangs.wait() if "hangs" in steps else asyncio.sleep(0))
        at_once -= 1
        return steps

    batcher = TaskBatcher[str, str](execute, most=1, groups=1, patience=0.01)

    def add(step: str, key: str) -> "asyncio.Future[str]":
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        batcher.add(Waiting(step, future, key))
        return future

    hanging, same_key = add("hangs", "a"), add("same key", "a")
    others = [add(f"other {number}", f"b{number}") for number in range(3)]
    assert list(await asyncio.gather(*others)) == ["other 0", "other 1", "other 2"]
    assert groups == [["hangs"], ["other 0"], ["other 1"], ["other 2"]]
    assert not hanging.done()
    assert not same_key.done()

    hangs.set()
    assert list(await asyncio.gather(hanging, same_key)) == ["hangs", "same key"]
    await batcher.finished()
    assert most_at_once == 2
