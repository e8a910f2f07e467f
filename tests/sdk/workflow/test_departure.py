"""A run that is asked to leave: steps under way end and are saved, and nothing begins."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import Outcome, Promise, Retry, TaskGroup, sleep, start_child, step, workflow
from runtara_sdk.errors import RuntaraError
from runtara_sdk.workflow import Workflow, execute
from runtara_sdk.workflow.engine import recorder
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.store import Saved, State

WORD = Promise("word", int)


class Asked(RuntaraError):
    """What the departures here are asked with."""


@step
async def charge() -> int:
    """Take as long as the test wants."""
    probe.seen.append("charge")
    probe.events["begun"].set()
    await probe.events["may_end"].wait()
    return 1


@step
async def ship() -> str:
    """Take no time."""
    probe.seen.append("ship")
    return "shipped"


@step(retry=Retry(attempts=3, wait="10ms", cap="10ms"))
async def flaky() -> None:
    """Fail at first."""
    probe.seen.append("flaky")
    if probe.seen.count("flaky") == 1:
        raise ConnectionError


@step(effect="external")
async def pay() -> None:
    """Do what must not be done twice."""
    probe.seen.append("pay")


Departing = tuple[Departure, "asyncio.Task[object]"]


def departing(workflow: Workflow[..., Any], core: Core) -> Departing:
    """Run an instance that may be asked to leave."""
    departure = Departure()
    work = execute(workflow, MemoryStore(core), clock=core.clock, departure=departure)
    return departure, asyncio.create_task(work)


async def left(running: "asyncio.Task[object]") -> None:
    """See the run end as it was asked to."""
    async with asyncio.timeout(60):
        with pytest.raises(Asked):
            await running


async def left_at(
    workflow: Workflow[..., Any], core: Core, is_there: Callable[[str, bool], bool]
) -> object:
    """Run an instance that is asked to leave at a call of its store; gives its end."""
    departure = Departure()

    def ask(call: str, is_done: bool) -> bool:
        if is_there(call, is_done):
            departure.ask(Asked())
        return False

    async with asyncio.timeout(60):
        try:
            return await execute(
                workflow, MemoryStore(core, ask), clock=core.clock, departure=departure
            )
        except Asked as error:
            return error


async def test_a_step_under_way_ends_and_nothing_follows_it() -> None:
    @workflow
    async def order() -> str:
        await charge()
        probe.seen.append("went on")
        return await ship()

    core = Core()
    departure, running = departing(order, core)
    await probe.events["begun"].wait()
    departure.ask(Asked())
    probe.events["may_end"].set()
    await left(running)

    assert probe.seen == ["charge"]
    assert "charge#1" in core.states
    assert (await lives(order, core)).output == b'"shipped"'
    assert probe.seen == ["charge", "went on", "ship"]


@pytest.mark.parametrize("is_owed", [False, True])
async def test_code_that_a_value_wakes_meanwhile_begins_no_step(*, is_owed: bool) -> None:
    """The value is saved, or got again elsewhere, where the step is made."""

    @workflow
    async def order() -> None:
        async with TaskGroup() as group:
            group.create_task(charge(), name="charge")
            group.create_task(shipping(), name="ship")

    async def shipping() -> None:
        await WORD.get()
        await ship()

    core = Core(saves_together=is_owed)
    departure, running = departing(order, core)
    await probe.events["begun"].wait()
    await core.until(lambda: core.listeners == 1)
    departure.ask(Asked())
    await core.send("word", b"1")
    await core.until(
        lambda: core.listeners == 0 if is_owed else any("get:word" in key for key in core.states)
    )
    probe.events["may_end"].set()
    await left(running)

    assert probe.seen == ["charge"]
    await lives(order, core)
    assert probe.seen == ["charge", "ship"]


async def test_code_between_two_calls_begins_no_step() -> None:
    going_on = asyncio.Event()

    @workflow
    async def order() -> None:
        async with TaskGroup() as group:
            group.create_task(charge(), name="charge")
            group.create_task(shipping(), name="ship")

    async def shipping() -> None:
        await going_on.wait()
        probe.seen.append("went on")
        await ship()

    core = Core()
    departure, running = departing(order, core)
    await probe.events["begun"].wait()
    departure.ask(Asked())
    going_on.set()
    await asyncio.sleep(0)
    probe.events["may_end"].set()
    await left(running)

    assert probe.seen == ["charge", "went on"]


async def test_code_between_two_calls_starts_no_child() -> None:
    going_on = asyncio.Event()

    @workflow
    async def order() -> None:
        async with TaskGroup() as group:
            group.create_task(charge(), name="charge")
            group.create_task(shipping(), name="ship")

    async def shipping() -> None:
        await going_on.wait()
        await start_child(order.bind(), id="child")

    core = Core()
    departure, running = departing(order, core)
    await probe.events["begun"].wait()
    departure.ask(Asked())
    going_on.set()
    await asyncio.sleep(0)
    probe.events["may_end"].set()
    await left(running)

    assert core.children == {}


async def test_no_further_attempt_is_made() -> None:
    """The wait for the attempt ends while another step is still under way."""

    @workflow
    async def order() -> None:
        async with TaskGroup() as group:
            group.create_task(charge(), name="charge")
            group.create_task(flaky(), name="flaky")

    def failed(call: str, is_done: bool) -> bool:
        is_there = call == "attempt flaky#1 1" and is_done
        if is_there:
            asyncio.get_running_loop().call_later(0.05, probe.events["may_end"].set)
        return is_there

    ended = await left_at(order, Core(clock_runs=True), failed)

    assert isinstance(ended, Asked)
    assert sorted(probe.seen) == ["charge", "flaky"]


async def test_an_intended_effect_is_made_so_that_it_is_not_in_doubt() -> None:
    @workflow
    async def paying() -> str:
        await pay()
        return await ship()

    core = Core()
    ended = await left_at(
        paying, core, lambda call, is_done: call == "save pay#1!intent#1" and not is_done
    )

    assert isinstance(ended, Asked)
    assert probe.seen == ["pay"]
    assert (await lives(paying, core)).output == b'"shipped"'
    assert probe.seen == ["pay", "ship"]


async def test_one_that_is_asked_before_it_begins_does_nothing() -> None:
    @workflow
    async def order() -> None:
        probe.seen.append("began")
        await ship()

    departure, running = departing(order, Core())
    departure.ask(Asked())
    await left(running)

    assert probe.seen == []


async def test_one_that_falls_asleep_just_then_sleeps() -> None:
    """A value sent until it sleeps would otherwise wake no process."""

    @workflow(suspend_after="0s")
    async def napping() -> None:
        await sleep("1h")

    core = Core()
    ended = await left_at(
        napping, core, lambda call, is_done: call.startswith("release") and not is_done
    )

    assert getattr(ended, "outcome", None) is Outcome.SUSPENDED


async def test_code_after_a_group_whose_end_is_being_saved_does_not_go_on() -> None:
    @workflow
    async def order() -> None:
        async with TaskGroup() as group:
            group.create_task(ship(), name="ship")
        await asyncio.sleep(3600)

    ended = await left_at(
        order, Core(), lambda call, is_done: call.startswith("save group") and not is_done
    )

    assert isinstance(ended, Asked)


async def test_code_that_has_cancelled_a_call_does_not_go_on() -> None:
    """Its cancellation is being saved when the run is asked to leave."""

    @workflow
    async def order() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await WORD.get()
        await asyncio.sleep(3600)

    ended = await left_at(
        order, Core(), lambda call, is_done: call.startswith("save get:word") and not is_done
    )

    assert isinstance(ended, Asked)


async def test_a_late_save_of_a_value_is_given_up_with_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though another value came while the first was being saved."""
    monkeypatch.setattr(recorder, "_LONGEST_OWED", 0.01)
    core, begun, stored = Core(), asyncio.Event(), asyncio.Event()

    class Slow(MemoryStore):
        async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
            if key.startswith("get:"):
                begun.set()
                await asyncio.sleep(0.2)
                stored.set()
            return await super().save(key, state, preceding)

    @workflow
    async def getting() -> None:
        await asyncio.gather(*(Promise(name, str).get() for name in ("a", "b", "never")))

    departure = Departure()
    running = asyncio.create_task(execute(getting, Slow(core), departure=departure))
    await core.send("a", b'"x"')
    await begun.wait()
    await core.send("b", b'"y"')
    await asyncio.sleep(0.05)
    departure.ask(Asked())
    with pytest.raises(Asked):
        await running
    await asyncio.sleep(0.3)

    assert not stored.is_set()
