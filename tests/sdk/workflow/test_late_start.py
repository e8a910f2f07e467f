"""The start record of an instance whose input the core keeps: it is saved with the first other."""

import asyncio
import itertools
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import CoreUnavailable, SignalType
from runtara_sdk.workflow import (
    Ended,
    Outcome,
    Workflow,
    continue_as_new,
    execute,
    promise,
    sleep,
    step,
    workflow,
)
from runtara_sdk.workflow.engine.observer import Event, Recorded, RunBegun, RunEnded, StepBegun
from runtara_sdk.workflow.engine.records import Kind
from runtara_sdk.workflow.engine.store import Polled, Saved, State
from runtara_sdk.workflow.errors import OtherInput


def core(**given: Any) -> Core:
    return Core(input=b"4", keeps_input=True, **given)


@step
async def double(number: int) -> int:
    probe.seen.append(str(number))
    return 2 * number


@workflow
async def doubling(number: int) -> int:
    return await double(number)


@workflow(suspend_after="0s")
async def walking(number: int) -> list[int]:
    both = await asyncio.gather(double(number), double(number + 1))
    await sleep("1d")
    return [*both, await promise("last", int)]


@workflow(suspend_after="0s")
async def resting(number: int) -> int:
    await sleep("1d")
    return number


@workflow
async def restarting(number: int) -> int:
    if number < 5:
        await continue_as_new(number + 1)
    return number


@workflow
async def idle(number: int) -> int:
    return number


def dying_at(number: int, *, is_done: bool) -> Callable[[str, bool], bool]:
    calls = itertools.count()
    return lambda call, after: after == is_done and next(calls) == number


async def test_the_first_record_brings_it() -> None:
    """The first step runs before anything is saved."""
    events: list[Event] = []
    mine = core()

    ended = await execute(
        doubling, MemoryStore(mine), observers=[lambda _, event: events.append(event)]
    )

    assert events == [
        RunBegun("doubling"),
        StepBegun("double#1", 1),
        Recorded("~workflow", Kind.START),
        Recorded("double#1", Kind.RESULT),
        RunEnded(ended),
    ]
    assert ended == Ended(Outcome.DONE, b"8")
    assert list(mine.states) == ["~workflow", "double#1"]


@pytest.mark.parametrize("flow", [doubling, walking, resting, idle])
async def test_a_process_may_die_at_any_call(flow: Workflow[[int], Any]) -> None:
    """The instance ends as if it had not, and never has a record without a start record."""
    whole = core(sent={"last": b"7"})
    expected = await lives(flow, whole)
    for number, is_done in itertools.product(range(len(whole.calls)), (False, True)):
        crashed = core(sent={"last": b"7"})
        died = await life(flow, crashed, dies=dying_at(number, is_done=is_done))
        first = next(iter(crashed.states), "~workflow")

        assert first == "~workflow", (number, is_done)
        assert died is None or died.outcome is Outcome.SUSPENDED
        assert await lives(flow, crashed) == expected
        assert sorted(crashed.states) == sorted(whole.states)


class Watched(MemoryStore):
    """Notes the saves, each as its key and what precedes it; a save of `lost` gets no answer."""

    def __init__(self, core: Core, lost: str = "") -> None:
        super().__init__(core)
        self.saves: list[tuple[str, str | None]] = []
        self.losing = asyncio.Event()
        self._lost = lost

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        self.saves.append((key, preceding[0][0] if preceding else None))
        if key == self._lost and not self.losing.is_set():
            self.losing.set()
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        return await super().save(key, state, preceding)


async def test_of_many_saves_at_once_the_first_brings_it() -> None:
    """The others wait for its answer, and are then under way together."""
    under_way = most = 0

    class Counted(Watched):
        async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().save(key, state, preceding)
            finally:
                under_way -= 1

    @workflow
    async def doubling_many(number: int) -> list[int]:
        return await asyncio.gather(*[double(each) for each in range(100)])

    mine = core()
    store = Counted(mine)
    await asyncio.wait_for(execute(doubling_many, store), 60)

    assert [preceding for _, preceding in store.saves] == ["~workflow", *[None] * 99]
    assert most == 99
    assert next(iter(mine.states)) == "~workflow"


@pytest.mark.parametrize("cancelled", [1, 2])
async def test_the_next_save_brings_it_if_the_first_is_cancelled(cancelled: int) -> None:
    """A cancelled task that waits for the first one's answer keeps no other waiting, either."""
    mine = core()
    store = Watched(mine, lost="double#1")

    @workflow
    async def cancelling(number: int) -> None:
        tasks = [asyncio.ensure_future(double(each)) for each in range(4)]
        await store.losing.wait()
        for _ in range(20):  # Iterations in which the others begin to wait.
            await asyncio.sleep(0)
        for task in reversed(tasks[:cancelled]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    await asyncio.wait_for(execute(cancelling, store), 60)

    assert store.saves[0] == ("double#1", "~workflow")
    assert [preceding for _, preceding in store.saves[1:]].count("~workflow") == 1
    assert store.saves[1][1] == "~workflow"
    assert next(iter(mine.states)) == "~workflow"
    assert {f"double#{number}" for number in range(1, 5)} < mine.states.keys()


async def test_an_outage_of_the_first_save_ends_the_run_without_the_others() -> None:
    """No record is stored without a start record, and the run does not hang."""
    mine = core()

    class Away(Watched):
        async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
            self.saves.append((key, preceding[0][0] if preceding else None))
            await asyncio.sleep(0)
            raise CoreUnavailable("away")

    store = Away(mine)
    with pytest.raises(CoreUnavailable):
        await asyncio.wait_for(execute(walking, store), 60)

    assert store.saves == [("double#1", "~workflow")]
    assert mine.states == {}


async def test_no_save_that_waits_for_the_first_begins_after_the_run() -> None:
    """An answer that comes then lets it go on no more."""
    begun, answered, saves = asyncio.Event(), asyncio.Event(), list[str]()

    class Away(MemoryStore):
        async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
            saves.append(key)
            begun.set()
            await answered.wait()
            return Saved(state, None)

        async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
            await begun.wait()
            raise CoreUnavailable("away")

    @workflow
    async def doubling_both(number: int) -> None:
        await asyncio.gather(double(1), double(2), promise("never", int))

    with pytest.raises(CoreUnavailable):
        await asyncio.wait_for(execute(doubling_both, Away(core())), 60)
    answered.set()
    await asyncio.sleep(0.05)

    assert saves == ["double#1"]


@pytest.mark.parametrize("flow", [resting, idle, restarting])
async def test_a_run_without_a_record_saves_it_before_it_leaves(flow: Workflow[[int], int]) -> None:
    """A run that sleeps, ends or goes on as another instance leaves a start record."""
    mine = core()
    await life(flow, mine)

    assert mine.calls[0] == "save ~workflow"
    assert len(mine.calls) > 1


async def test_a_pause_leaves_it() -> None:
    """A run that is paused while it waits has a start record."""
    mine = core(told=SignalType.PAUSE)

    @workflow
    async def waiting(number: int) -> int:
        return await promise("go", int)

    ended = await execute(waiting, MemoryStore(mine))

    assert ended.outcome is Outcome.SUSPENDED
    assert list(mine.states) == ["~workflow"]


async def test_a_cancel_from_before_the_run_comes_before_its_first_step() -> None:
    """No answer to a save tells of it so early: the registration does."""
    mine = core(told=SignalType.CANCEL)

    assert (await lives(doubling, mine)).outcome is Outcome.CANCELLED
    assert probe.seen == []


@pytest.mark.parametrize(("size", "is_stored"), [(200_000, False), (300_000, True)])
async def test_a_large_one_is_saved_before_the_first_step(size: int, is_stored: bool) -> None:
    """It and the first record, if both are large, would fit into no request."""
    mine = Core(input=b'"%s"' % (b"x" * size), keeps_input=True)

    @step
    async def look() -> list[str]:
        return list(mine.states)

    @workflow
    async def looking(text: str) -> list[str]:
        return await look()

    assert (await lives(looking, mine)).output == (b'["~workflow"]' if is_stored else b"[]")


async def test_an_input_given_by_hand_is_saved_before_the_first_step() -> None:
    """The core does not keep it: the next run, without an input, gets it by the start record."""
    mine = Core(keeps_input=True)

    @step
    async def look(number: int) -> list[str]:
        return list(mine.states)

    @workflow
    async def looking(number: int) -> list[str]:
        return await look(number)

    ended = await execute(looking, MemoryStore(mine), b"1")

    assert ended.output == b'["~workflow"]'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_an_input_by_hand_must_be_that_of_the_launch(encoding: str) -> None:
    """So it is with a start record: the first run may have died before it saved one."""
    mine = core()
    died = await life(doubling, mine, dies=dying_at(0, is_done=False))
    assert (died, mine.states) == (None, {})

    with pytest.raises(OtherInput, match="was started with input 4, not with 5"):
        await execute(doubling, MemoryStore(mine), "5".encode(encoding))
    assert mine.states == {}
    assert mine.ended is None

    assert (await execute(doubling, MemoryStore(mine), " 4".encode(encoding))).output == b"8"
