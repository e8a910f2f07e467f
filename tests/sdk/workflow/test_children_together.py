"""Children that are asked for at once: one request starts them and stores their records."""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.outcomes_got import dying_at
from tests.sdk.workflow.test_children import Parcel, finish_children, note, result, ship

from runtara_sdk import (
    ChildNotStarted,
    Outcome,
    SignalType,
    child,
    promise,
    start_child,
    timeout,
    workflow,
)
from runtara_sdk.client.records import NewChild
from runtara_sdk.errors import RequestNotKnown
from runtara_sdk.workflow import Ended, Workflow, execute
from runtara_sdk.workflow.engine import child_starts
from runtara_sdk.workflow.engine.child_starts import ChildStarts
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.observer import Event, Recorded
from runtara_sdk.workflow.engine.store import SavedTogether, State


@workflow(suspend_after="0s")
async def three() -> list[str]:
    await promise("paid", int)
    return list(await asyncio.gather(*(result(number) for number in (1, 2, 3))))


async def test_children_of_one_gather_are_one_request() -> None:
    """It brings their records, too."""
    core = Core(sent={"paid": b"1"})
    await life(three, core)
    starts = [call for call in core.calls if "ship" in call]
    assert starts == ["start ship-1 ship-2 ship-3"]
    keys = [key for key in core.states if "ship" in key]
    assert keys == [f"child~ship-{number}!started" for number in (1, 2, 3)]

    await finish_children(core)
    ended = await life(three, core)

    assert ended == Ended(Outcome.DONE, b'["shipped 1","shipped 2","shipped 3"]')


async def test_what_is_owed_rides_along() -> None:
    """A launched instance's start record is stored before the first children."""

    @workflow(suspend_after="0s")
    async def two() -> list[str]:
        return list(await asyncio.gather(result(1), result(2)))

    core = Core(keeps_input=True)
    await life(two, core)

    assert core.calls[0] == "start ship-1 ship-2"
    assert next(iter(core.states)) == "~workflow"
    assert len(core.states) >= 3


@pytest.mark.parametrize("keeps_input", [True, False])
async def test_a_process_may_die_at_any_call(keeps_input: bool) -> None:
    """No child is without its record, and the instance ends as if the process had lived."""

    async def to_its_end(core: Core, dies: Any = None) -> Ended:
        while True:
            await life(three, core, dies=dies)
            started = {key.removeprefix("child~") for key in core.states if "!started" in key}
            assert started == {f"{child_id}!started" for child_id in core.children}
            assert next(iter(core.states), "~workflow") == "~workflow"
            if core.ended is not None:
                return core.ended
            await finish_children(core)

    def kept(core: Core) -> dict[str, bytes]:
        return {key: state for key, state in core.states.items() if not key.startswith("~look")}

    def core() -> Core:
        return Core(sent={"paid": b"1"}, keeps_input=keeps_input)

    whole = core()
    expected = await to_its_end(whole)
    for number, is_done in itertools.product(range(1, len(whole.calls) + 1), (False, True)):
        crashed = core()
        assert await to_its_end(crashed, dying_at(number, is_done=is_done)) == expected
        assert kept(crashed) == kept(whole)


@workflow(suspend_after="0s")
async def one_is_taken() -> list[str]:
    async def tried(number: int) -> str:
        try:
            return (await start_child(ship.bind(Parcel(number)), id=f"ship-{number}")).id
        except ChildNotStarted:
            return "taken"

    return list(await asyncio.gather(*(tried(number) for number in (1, 2, 3))))


async def test_each_call_gets_its_own_outcome_if_one_child_is_refused() -> None:
    """Nothing of the group is stored; each child is then asked for by itself."""
    core = Core(children={"ship-2": ("another", None)})
    ended = await life(one_is_taken, core)
    core.ended = None
    before = len(core.calls)
    again = await life(one_is_taken, core)

    assert ended == again == Ended(Outcome.DONE, b'["ship-1","taken","ship-3"]')
    assert list(core.children) == ["ship-2", "ship-1", "ship-3"]
    assert [call for call in core.calls[:before] if call.startswith("start ")] == [
        "start ship-1 ship-2 ship-3",
        "start ship-1",
        "start ship-2",
        "start ship-3",
    ]
    assert core.calls[before:] == ["complete"]


async def test_a_core_that_became_older_is_asked_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection may be to an older server by now."""

    async def unknown(self: MemoryStore, *_: object) -> SavedTogether:
        raise RequestNotKnown("EMPTY_REQUEST")

    monkeypatch.setattr(MemoryStore, "start_children", unknown)
    core = Core(sent={"paid": b"1"}, keeps_input=True)
    await life(three, core)

    assert sorted(core.children) == ["ship-1", "ship-2", "ship-3"]
    assert next(iter(core.states)) == "~workflow"
    assert sum(key.endswith("!started") for key in core.states) == 3


async def test_a_large_input_goes_by_itself() -> None:
    """An input above 64 KiB has a request of its own, at once."""

    @workflow
    async def keep(text: str) -> None: ...

    @workflow(suspend_after="0s")
    async def sized() -> None:
        texts = ["x" * size for size in (60_000, 60_000, 70_000)]
        await asyncio.gather(
            *(child(keep.bind(text), id=f"ship-{place}") for place, text in enumerate(texts))
        )

    core = Core()
    await life(sized, core)

    starts = [call for call in core.calls if call.startswith("start ")]
    assert sorted(starts) == ["start ship-0 ship-1", "start ship-2"]
    assert "save child~ship-2!started" in core.calls


async def test_no_group_waits_for_the_answer_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A group is what the code asks for in one iteration of the event loop."""
    start, under_way, go_on = MemoryStore.start_children, asyncio.Event(), asyncio.Event()

    async def start_slowly(
        self: MemoryStore, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        under_way.set()
        await go_on.wait()
        return await start(self, children, states)

    monkeypatch.setattr(MemoryStore, "start_children", start_slowly)

    @workflow(suspend_after="0s")
    async def waves() -> None:
        async def later(number: int) -> str:
            await under_way.wait()
            if number == 4:
                asyncio.get_running_loop().call_later(0.01, go_on.set)
            return await result(number)

        await asyncio.gather(result(1), *(later(number) for number in (2, 3, 4)))

    core = Core()
    await life(waves, core)

    starts = [call for call in core.calls if call.startswith("start ")]
    assert starts == ["start ship-1", "start ship-2 ship-3 ship-4"]


@pytest.mark.parametrize("how", ["start", "whole"])
async def test_a_start_that_code_cuts_off_is_cancelled_after_its_answer(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel that overtook the start would find no child; the others of the group stay."""
    start, cancel, cut_off = MemoryStore.start_children, ChildStarts.cancel, asyncio.Event()

    async def start_slowly(
        self: MemoryStore, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        await cut_off.wait()
        return await start(self, children, states)

    async def cancel_it(self: ChildStarts, child_id: str) -> None:
        cut_off.set()
        await cancel(self, child_id)

    monkeypatch.setattr(MemoryStore, "start_children", start_slowly)
    monkeypatch.setattr(ChildStarts, "cancel", cancel_it)

    @workflow
    async def cut(how: str) -> str:
        async def first() -> str:
            try:
                async with asyncio.timeout(0.01):
                    if how == "whole":
                        return await result(1)
                    return (await start_child(ship.bind(Parcel(1)), id="ship-1")).id
            except TimeoutError:
                return "in no time"

        async def second() -> str:
            return (await start_child(ship.bind(Parcel(2)), id="ship-2")).id

        return f"{await asyncio.gather(first(), second())} {await note('on')}"

    core = Core()
    ended = await life(cut, core, f'"{how}"'.encode())
    core.ended = None
    again = await life(cut, core, f'"{how}"'.encode())

    assert ended is not None
    assert ended.output == b"\"['in no time', 'ship-2'] on\""
    assert again == ended
    assert core.calls.index("start ship-1 ship-2") < core.calls.index("cancel ship-1")
    assert core.cancelled_children == {"ship-1"}


async def test_a_start_that_is_cut_off_before_its_request_is_not_sent() -> None:
    """Only a cancel is: a run of a version before may have started the child."""

    @workflow
    async def cut() -> str:
        starting = asyncio.ensure_future(result(1))
        asyncio.get_running_loop().call_soon(starting.cancel)
        try:
            return await starting
        except asyncio.CancelledError:
            return "cut"

    core = Core()
    ended = await life(cut, core)

    assert ended == Ended(Outcome.DONE, b'"cut"')
    assert not core.children
    assert "cancel ship-1" in core.calls


@pytest.mark.parametrize("way", ["departure", "pause", "cancel", "timeout", "code"])
async def test_a_group_that_waits_is_not_sent_once_the_run_is_stopped(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is owed makes a group wait, for the answer to the request that brings it."""
    start, core, departure = MemoryStore.start_children, Core(sent={"paid": b"1"}), Departure()
    core.clock_runs = True

    async def stop(
        self: MemoryStore, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        await asyncio.sleep(0.01)  # The other groups wait by now.
        if way == "departure":
            departure.ask(RuntimeError("leave"))
        elif way in ("pause", "cancel"):
            await core.tell(SignalType.PAUSE if way == "pause" else SignalType.CANCEL)
        else:
            await asyncio.sleep(0.1)
        return await start(self, children, states)

    @workflow(suspend_after="0s")
    async def many() -> None:
        in_time: AbstractAsyncContextManager[object] = nullcontext()
        if way in ("timeout", "code"):
            in_time = timeout("50ms") if way == "timeout" else asyncio.timeout(0.05)
        async with in_time:
            await promise("paid", int)
            await asyncio.gather(*(result(number) for number in range(1, 8)))

    monkeypatch.setattr(MemoryStore, "start_children", stop)
    monkeypatch.setattr(child_starts, "_MOST", 2)
    with suppress(RuntimeError):
        await execute(many, MemoryStore(core), clock=core.clock, departure=departure)

    starts = [call for call in core.calls if call.startswith("start ")]
    assert starts == ["start ship-1 ship-2"]
    assert list(core.children) == ["ship-1", "ship-2"]
    if way == "pause":
        monkeypatch.setattr(MemoryStore, "start_children", start)
        await life(many, core)
        assert len(core.children) == 7


async def test_observers_hear_of_each_start() -> None:
    """As of a record that is saved by itself."""
    heard: list[Event] = []
    core = Core(sent={"paid": b"1"})
    store = MemoryStore(core)
    await execute(three, store, observers=[lambda _, event: heard.append(event)])

    started = [one.key for one in heard if isinstance(one, Recorded) and "!started" in one.key]
    assert started == [f"child~ship-{number}!started" for number in (1, 2, 3)]


@pytest.mark.parametrize("flow", [three, one_is_taken])
async def test_a_history_of_single_starts_goes_on(flow: Workflow[[], Any]) -> None:
    """The records are the same whichever way the children were started."""
    cores = [Core(sent={"paid": b"1"}, starts_together=way) for way in (True, False)]
    for core in cores:
        await life(flow, core)

    assert cores[0].states == cores[1].states
    cores[1].starts_together = True
    cores[1].ended = None
    if flow is three:
        await finish_children(cores[1])
    before = len(cores[1].calls)
    ended = await lives(flow, cores[1])

    assert ended.outcome is Outcome.DONE
    assert not any(call.startswith("start ") for call in cores[1].calls[before:])
