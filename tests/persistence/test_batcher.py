"""When a batcher chooses a group, and when it begins or executes it."""

import asyncio
import types
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

import pytest

from runtara_persistence.batcher import CallBatcher, Group, TaskBatcher, Waiting


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


class Hanging:
    """A batcher of groups of one step, of which some hang until they are let go."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.most_at_once = self._at_once = 0
        self._held = {name: asyncio.Event() for name in ("slow", "hangs")}
        self.begun = {name: asyncio.Event() for name in self._held}
        self.batcher = TaskBatcher[str, str](self._execute, most=1, groups=1, patience=0.01)

    def add(self, step: str, key: str | None = None) -> "asyncio.Future[str]":
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.batcher.add(Waiting(step, future, (step if key is None else key,)))
        return future

    def let_go(self, step: str) -> None:
        self._held[step].set()

    async def _execute(self, steps: Sequence[str]) -> Sequence[str]:
        [step] = steps
        self.groups.append(step)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        if step in self._held:
            self.begun[step].set()
            await self._held[step].wait()
        self._at_once -= 1
        return steps


async def test_a_group_that_hangs_delays_the_next_ones_only_for_a_while() -> None:
    """The next groups are executed beside it, one at a time, and it ends as any other."""
    hanging = Hanging()
    hangs, same_key = hanging.add("hangs"), hanging.add("same key", key="hangs")
    await asyncio.gather(*(hanging.add(f"other {number}") for number in range(3)))
    assert hanging.groups == ["hangs", "other 0", "other 1", "other 2"]
    assert not hangs.done()
    assert not same_key.done()

    hanging.let_go("hangs")
    await hanging.batcher.finished()
    assert same_key.done()
    assert hanging.most_at_once == 2


async def test_after_a_slow_group_another_that_hangs_delays_the_next_ones_only_for_a_while() -> (
    None
):
    """A group that was overdue for a while does not keep the next one from becoming so."""
    hanging = Hanging()
    slow, hangs = hanging.add("slow"), hanging.add("hangs")
    await hanging.begun["hangs"].wait()
    # By then both have taken longer than the patience.
    asyncio.get_running_loop().call_later(0.05, hanging.let_go, "slow")
    await slow
    await hanging.add("next")
    assert not hangs.done()

    hanging.let_go("hangs")
    await hanging.batcher.finished()
    assert hanging.most_at_once == 2


class Called:
    """The groups of a batcher that calls a function for each group."""

    def __init__(self, *, alternate: int) -> None:
        self.groups: list[Group[Waiting[int, int]]] = []
        self._batcher = CallBatcher[Waiting[int, int]](
            self.groups.append, most=10, pause=3, alternate=alternate
        )

    @property
    def sizes(self) -> list[int]:
        return [len(group.members) for group in self.groups]

    def add(self, steps: int) -> None:
        for step in range(steps):
            self._batcher.add(Waiting(step, asyncio.get_running_loop().create_future()))

    def end(self, number: int) -> None:
        group = self.groups[number]
        group.end([member.step for member in group.members])


async def test_of_enough_callers_one_half_goes_on_while_the_group_of_the_other_is_under_way() -> (
    None
):
    """A group begins at once when half of the callers wait, or at the end of the one before."""
    called = Called(alternate=4)
    called.add(4)
    await asyncio.sleep(0)
    called.end(0)

    called.add(1)
    assert called.sizes == [4]
    called.add(1)
    assert called.sizes == [4, 2]
    called.add(2)
    called.end(1)
    assert called.sizes == [4, 2, 2]
    called.end(2)
    assert called.sizes == [4, 2, 2]


async def test_fewer_callers_share_a_group_after_the_pause() -> None:
    called = Called(alternate=4)
    called.add(3)
    await asyncio.sleep(0)
    called.end(0)

    called.add(3)
    for _ in range(3):
        assert called.sizes == [3]
        await asyncio.sleep(0)
    assert called.sizes == [3, 3]
    called.end(1)
