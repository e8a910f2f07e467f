"""`Promise.get(timeout=)` looks for the value before it saves a deadline."""

import asyncio
from collections.abc import Collection
from datetime import timedelta

from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives

from runtara_sdk import Ended, Outcome, Promise, TaskGroup, sleep, workflow
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.engine.store import Polled

NEWS = Promise("news", str)


@workflow(suspend_after="0s")
async def asking() -> str:
    try:
        return await NEWS.get(timeout="1d")
    except TimeoutError:
        return "late"


class Counted(MemoryStore):
    """Counts the polls for values, and lets time pass in each."""

    polls = 0
    takes = timedelta(0)

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        if names:
            self.polls += 1
            self._core.now += self.takes
        return await super().poll(names, wait)


async def test_a_value_that_is_there_costs_one_poll_and_no_deadline() -> None:
    """Nothing of the deadline is saved: a replay gets the value by its record."""
    core = Core(sent={"news": b'"x"'})
    store = Counted(core)

    ended = await execute(asking, store, clock=core.clock)

    assert ended == Ended(Outcome.DONE, output=b'"x"')
    assert store.polls == 1
    assert list(core.states) == ["~workflow", "get:news#1"]
    core.ended, core.now = None, core.now + timedelta(days=9)
    assert await life(asking, core) == ended


async def test_a_wait_costs_one_poll_more_and_counts_from_the_call() -> None:
    """The time that the look takes is part of the timeout."""
    core = Core()
    store = Counted(core)
    store.takes = timedelta(hours=1)
    called = core.now

    ended = await execute(asking, store, clock=core.clock)

    assert [(one.name, one.until) for one in ended.awaits] == [("news", called + timedelta(days=1))]
    assert "get:news#1!until" in core.states
    # The look, the held poll, and two of the suspension.
    assert store.polls <= 4


async def test_a_run_goes_on_with_a_deadline_that_the_former_version_saved() -> None:
    """It saved a deadline though the value was there, and was killed before the value's record."""
    late = Core()
    await life(asking, late)
    until = late.states["get:news#1!until"]
    states = {"~workflow": late.states["~workflow"], "get:news#1!until": until}
    sent, never = Core(states=dict(states), sent={"news": b'"x"'}), Core(states=dict(states))
    never.now = sent.now = late.now + timedelta(days=2)

    assert (await lives(asking, sent)).output == b'"x"'
    assert (await lives(asking, never)).output == b'"late"'
    assert [core.states["get:news#1!until"] for core in (sent, never)] == [until] * 2


async def test_a_get_in_a_finished_group_is_replayed_without_a_deadline() -> None:
    """A replay makes no new call there."""

    async def branch() -> str:
        return await NEWS.get(timeout="1d")

    @workflow(suspend_after="0s")
    async def grouped() -> str:
        async with TaskGroup() as group:
            task = group.create_task(branch(), name="one")
        await sleep("1d")
        return task.result()

    core = Core(sent={"news": b'"x"'})

    assert (await lives(grouped, core)).output == b'"x"'
    assert not any(key.endswith("!until") for key in core.states)


async def test_many_gets_at_once_look_and_wait_by_themselves() -> None:
    """One of the values is there, another comes, and a third never does."""

    async def each(name: str) -> str:
        try:
            return await NEWS.keyed(name).get(timeout="1d")
        except TimeoutError:
            return f"no {name}"

    @workflow(suspend_after="0s")
    async def many() -> list[str]:
        return list(await asyncio.gather(each("a"), each("b"), each("c")))

    core = Core(sent={"news~a": b'"a"'})
    await life(many, core)
    await core.send("news~b", b'"b"')

    assert (await lives(many, core)).output == b'["a","b","no c"]'
    assert [key for key in core.states if key.endswith("!until")] == [
        "get:news%7Eb~1!until",
        "get:news%7Ec~1!until",
    ]
