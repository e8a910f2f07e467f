"""Values that the core keeps: their records ride with the next, and are stored before an effect."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives

from runtara_sdk import (
    NotSerializable,
    Outcome,
    Promise,
    SignalType,
    child,
    continue_as_new,
    current,
    promise,
    race,
    sleep,
    step,
    uuid4,
    workflow,
)
from runtara_sdk.workflow import Workflow, execute
from runtara_sdk.workflow.engine import recorder
from runtara_sdk.workflow.engine.observer import Event, Recorded
from runtara_sdk.workflow.engine.store import Saved, State

WORD, OTHER = Promise("word", str), Promise("other", str)
GOT = "get:word#1"


class Watched(MemoryStore):
    """Notes the requests that save, each as its keys."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self.saves: list[list[str]] = []

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        self.saves.append([*(before for before, _ in preceding), key])
        return await super().save(key, state, preceding)


class Here:
    """The core of the running test, for its steps."""

    core = Core()


def told(**given: Any) -> Core:
    return Core(sent={"word": b'"x"', "other": b'"y"'}, **given)


@step
async def note(what: str) -> list[str]:
    return list(Here.core.states)


@step(effect="external")
async def pay(what: str) -> str:
    return what


@workflow
async def packing(what: str) -> str:
    return what


async def test_a_value_rides_with_the_next_record() -> None:
    """In its order, with others that are owed."""

    @workflow
    async def paying() -> str:
        await uuid4()
        return await pay(await WORD.get() + await OTHER.get())

    store = Watched(told())

    assert (await execute(paying, store)).output == b'"xy"'
    assert store.saves == [
        ["~workflow"],
        ["uuid4#1"],
        [GOT, "get:other#1", "pay#1!intent#1"],
        ["pay#1"],
    ]


async def test_it_is_stored_before_a_step_begins() -> None:
    """The step has no record before its effect, so the value gets a request of its own."""
    Here.core = told()

    @workflow
    async def noting() -> list[str]:
        return await note(await WORD.get())

    store = Watched(Here.core)

    assert b'"get:word#1"' in (await execute(noting, store)).output
    assert store.saves == [["~workflow"], [GOT], ["note#1"]]


async def test_those_of_a_gather_are_stored_together() -> None:
    """Also the ends of children; each with its number in the order of outcomes."""

    @workflow
    async def gathering() -> list[str]:
        every = (Promise(f"word/{number}", str) for number in range(40))
        return await asyncio.gather(*(one.get() for one in every))

    store = Watched(Core(sent={f"word%2F{number}": b'"x"' for number in range(40)}))

    await execute(gathering, store)
    assert list(map(len, store.saves)) == [1, 33, 7]


@pytest.mark.parametrize("starts_together", [True, False])
async def test_it_is_stored_before_a_child_begins_and_before_one_is_cancelled(
    starts_together: bool,
) -> None:
    """
    The request that starts the child may bring it.

    Whoever wins a race, its loser's cancel is sent after that is stored.
    """

    @workflow(suspend_after="0s")
    async def parent() -> str:
        await WORD.get()
        winner, _ = await race(one=child(packing.bind("x"), id="c"), other=OTHER.get())
        return winner

    core = told()
    core.starts_together = starts_together
    ended = await life(parent, core)

    assert ended is not None
    assert ended.output == b'"other"'
    if starts_together:
        assert f"save {GOT}" not in core.calls
        places = [list(core.states).index(key) for key in (GOT, "child~c!started")]
    else:
        places = [core.calls.index(call) for call in (f"save {GOT}", "start c")]
    assert places == sorted(places)
    places = [core.calls.index(call) for call in ("save get:other#1", "cancel c")]
    assert places == sorted(places)


@workflow
async def ending() -> str:
    return await WORD.get()


@workflow(suspend_after="0s")
async def waiting() -> str:
    return await WORD.get() + await promise("never", str)


@workflow
async def paused() -> str:
    word = await WORD.get()
    Here.core.told = SignalType.PAUSE
    return word + await promise("never", str)


@workflow
async def restarting() -> None:
    await WORD.get()
    await continue_as_new()


@pytest.mark.parametrize(
    ("flow", "last"),
    [
        (ending, "complete"),
        (waiting, "release"),
        (paused, "acknowledge pause"),
        (restarting, "hand over"),
    ],
)
async def test_it_is_stored_before_the_run_leaves(flow: Workflow[[], Any], last: str) -> None:
    """At the end, before a sleep or a pause, and before another instance goes on."""
    Here.core = told()

    await life(flow, Here.core)

    assert Here.core.calls[1] == f"save {GOT}"
    assert Here.core.calls[2].startswith(last)


async def test_no_step_gets_another_argument_under_the_same_key() -> None:
    """Whichever value comes first, before a crash at any call and after it."""
    effects: dict[str, set[str]] = defaultdict(set)

    @step
    async def ship(what: str) -> str:
        effects[current().idempotency_key].add(what)
        return what

    @workflow(suspend_after="0s")
    async def as_they_come() -> list[str]:
        came: asyncio.Queue[str] = asyncio.Queue()

        async def pass_on(one: Promise[str]) -> None:
            came.put_nowait(await one.get())

        # Not asyncio.as_completed, which begins them in any order.
        tasks = [asyncio.create_task(pass_on(one)) for one in (WORD, OTHER)]
        return [await ship(await came.get()) for _ in tasks]

    for number, is_done in itertools.product(range(12), (False, True)):
        effects.clear()
        calls = itertools.count()
        core = Core(sent={"other": b'"y"'})
        await life(
            as_they_come,
            core,
            dies=lambda call, after: after == is_done and next(calls) == number,  # noqa: B023
        )
        await core.send("word", b'"x"')
        ended = core.ended or await lives(as_they_come, core)

        assert sorted(map(len, effects.values())) == [1, 1], (number, is_done, effects)
        assert ended.outcome is Outcome.DONE


async def test_a_cancel_after_a_crash_in_a_step_ends_the_step_and_not_the_get() -> None:
    """So the clean-up around the step, which may have had its effect, is not left out."""
    undone: list[str] = []

    @step
    async def book(what: str) -> None:
        crashed.set()
        await asyncio.get_running_loop().create_future()

    @step
    async def undo(what: str) -> None:
        undone.append(what)

    @workflow
    async def booking() -> None:
        word = await WORD.get()
        try:
            await book(word)
        except asyncio.CancelledError:
            await undo(word)
            raise

    core, crashed = told(), asyncio.Event()
    running = asyncio.create_task(execute(booking, MemoryStore(core)))
    await crashed.wait()
    running.cancel()
    await asyncio.wait({running})
    await core.tell(SignalType.CANCEL)

    assert (await lives(booking, core)).outcome is Outcome.CANCELLED
    assert undone == ["x"]


async def test_what_could_turn_out_otherwise_is_not_owed() -> None:
    """A value of another type, a timeout and a cancelled wait are stored at once."""
    core = Core(sent={"word": b"17"})
    seen: list[str] = []

    @workflow
    async def outcomes() -> None:
        try:
            await WORD.get()
        except NotSerializable:
            seen.append(GOT if GOT in core.states else "")
        try:
            await OTHER.get(timeout="0s")
        except TimeoutError:
            seen.append(list(core.states)[-1])
        try:
            async with asyncio.timeout(0):
                await promise("never", str)
        except TimeoutError:
            seen.append(list(core.states)[-1])

    await execute(outcomes, MemoryStore(core))
    assert seen == [GOT, "get:other#1", "promise:never#1"]


async def test_neither_is_a_large_value_nor_one_of_an_older_core() -> None:
    """They are stored before the code goes on."""
    core = Core(sent={"word": b'"%s"' % (b"x" * 16_384)})
    older = told(saves_together=False)

    @workflow
    async def looking() -> bool:
        await WORD.get()
        return GOT in Here.core.states

    for Here.core in (core, older):
        assert (await execute(looking, MemoryStore(Here.core))).output == b"true"


async def test_it_is_stored_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators see it, though the run records nothing."""
    monkeypatch.setattr(recorder, "_LONGEST_OWED", 0.01)
    core, stored = told(), asyncio.Event()

    @workflow
    async def resting() -> bool:
        await WORD.get()
        before = GOT in core.states
        await stored.wait()
        return before

    def notice(_: str, event: Event) -> None:
        if isinstance(event, Recorded) and event.key == GOT:
            stored.set()

    running = execute(resting, MemoryStore(core), observers=[notice])
    assert (await asyncio.wait_for(running, 60)).output == b"false"


async def test_an_instance_that_it_keeps_awake_is_awake_in_the_core() -> None:
    """It came while the core let the instance sleep: a crash would leave it asleep for a day."""

    class Late(MemoryStore):
        async def suspend_until(
            self, key: str, state: bytes, wake: datetime, waits: str = "[]"
        ) -> bool:
            await core.send("word", b'"x"')
            return await super().suspend_until(key, state, wake, waits)

    @workflow(suspend_after="0s")
    async def computing() -> list[bool]:
        await WORD.get()
        await asyncio.sleep(0.05)
        return [core.wake is None, GOT in core.states]

    core = Core()

    ended = await execute(computing, Late(core), clock=core.clock)
    assert ended.output == b"[true,false]"


async def test_a_cancel_that_its_answer_brings_comes_before_the_step() -> None:
    """As the answer to a save of its own would."""
    Here.core = told()

    @workflow
    async def noting() -> None:
        await WORD.get()
        Here.core.told = SignalType.CANCEL
        await note("x")

    assert (await lives(noting, Here.core)).outcome is Outcome.CANCELLED
    assert "note#1" in Here.core.states
    assert b"struck" in Here.core.states["note#1"]


async def test_observers_get_it_when_it_is_stored() -> None:
    """Before the record that it rode with."""
    events: list[Event] = []

    @workflow
    async def flow() -> None:
        await WORD.get()
        await sleep(0)

    await execute(flow, MemoryStore(told()), observers=[lambda _, event: events.append(event)])

    kept = [event.key for event in events if isinstance(event, Recorded)]
    assert kept == ["~workflow", GOT, "sleep#1"]
