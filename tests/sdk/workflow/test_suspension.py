"""Suspended, superseded or out of reach: no user code is unwound, and another run goes on."""

import asyncio
import json
from datetime import timedelta

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    NondeterminismError,
    Outcome,
    SignalType,
    TaskGroup,
    continue_as_new,
    promise,
    sleep,
    step,
    workflow,
)
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.engine import inbox
from runtara_sdk.workflow.engine.inbox import SignalInbox
from runtara_sdk.workflow.engine.outcome import Awaited, successor_of, waits
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals
from runtara_sdk.workflow.errors import Superseded


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


class Context:
    async def __aenter__(self) -> None:
        probe.seen.append("entered")

    async def __aexit__(self, *error: object) -> None:
        probe.seen.append("exited")


@workflow(suspend_after="0s")
async def napping() -> str:
    try:
        async with Context():
            await sleep("1d")
        return "awake"
    except BaseException:
        probe.seen.append("except")
        raise
    finally:
        probe.seen.append("finally")


async def test_a_suspension_unwinds_nothing() -> None:
    """Later runs in the same process have frames of their own."""
    core = Core()
    first = await life(napping, core)
    assert (first, probe.seen) == (Ended(Outcome.SUSPENDED), ["entered"])
    assert core.wake == core.now + timedelta(days=1)
    early = await life(napping, core)
    core.now += timedelta(days=1)
    last = await life(napping, core)

    assert (early, last) == (Ended(Outcome.SUSPENDED), Ended(Outcome.DONE, b'"awake"'))
    assert probe.seen == ["entered", "entered", "entered", "exited", "finally"]


def test_nor_does_the_end_of_the_loop() -> None:
    """The end of the loop cancels all other tasks that it finds."""
    ended = asyncio.run(execute(napping, MemoryStore(core := Core()), clock=core.clock))

    assert ended == Ended(Outcome.SUSPENDED)
    assert probe.seen == ["entered"]


async def test_a_process_is_released_only_when_all_branches_wait() -> None:
    """The instance sleeps until the earliest of the branches' deadlines."""

    async def waiting(days: int) -> None:
        await sleep(timedelta(days=days))
        await note(str(days))

    async def working() -> None:
        for number in range(3):
            await note(f"working {number}")
            await asyncio.sleep(0.01)

    @workflow(suspend_after="0s")
    async def several() -> None:
        async with TaskGroup() as group:
            group.create_task(waiting(3), name="three")
            group.create_task(working(), name="working")
            group.create_task(waiting(2), name="two")

    core = Core()
    first = await life(several, core)

    assert first == Ended(Outcome.SUSPENDED)
    assert probe.seen == ["working 0", "working 1", "working 2"]
    assert core.wake == core.now + timedelta(days=2)
    assert (await lives(several, core)).outcome is Outcome.DONE
    assert probe.seen[3:] == ["2", "3"]


async def test_a_short_wait_is_held() -> None:
    """The process stays, and receives what is sent meanwhile."""

    @workflow
    async def asking() -> int:
        await sleep(0.01)
        return await promise("number", int)

    core = Core(clock_runs=True)
    running = asyncio.create_task(life(asking, core))
    await core.until(lambda: core.listeners > 0)
    await core.send("number", b"3")

    assert await running == Ended(Outcome.DONE, b"3")


async def test_one_poll_listens_for_all_promises() -> None:
    """There is one poll, however many promises wait and whatever was sent already."""

    async def branch() -> int:
        return await promise("in", int)

    @workflow
    async def asking(count: int) -> list[int]:
        async with TaskGroup() as group:
            tasks = [group.create_task(branch(), name=str(number)) for number in range(count)]
        return [task.result() for task in tasks]

    core = Core(clock_runs=True)
    running = asyncio.create_task(life(asking, core, b"30"))
    await core.until(lambda: core.listeners == 1)
    for number in reversed(range(30)):
        assert core.listeners <= 1
        await core.send(f"{number}/in", b"%d" % number)

    assert await running == Ended(
        Outcome.DONE, json.dumps([*range(30)], separators=(",", ":")).encode()
    )


async def test_a_promise_that_begins_beside_a_held_poll_is_heard_at_once() -> None:
    """A new poll takes the place of the held one, which does not name the promise."""
    opened, outcomes = asyncio.Event(), asyncio.Event()

    @step
    async def opening() -> None:
        await opened.wait()

    async def sooner() -> int:
        return await promise("first", int)

    async def later() -> None:
        await opening()
        await promise("second", int)
        outcomes.set()

    @workflow
    async def asking() -> int:
        async with TaskGroup() as group:
            first = group.create_task(sooner(), name="sooner")
            group.create_task(later(), name="later")
        return first.result()

    core = Core(clock_runs=True)
    running = asyncio.create_task(life(asking, core))
    await core.until(lambda: core.listeners == 1)
    await core.send("later/second", b"2")
    opened.set()
    async with asyncio.timeout(30):
        await outcomes.wait()
    await core.send("sooner/first", b"1")

    assert await running == Ended(Outcome.DONE, b"1")


async def test_a_running_instance_acknowledges_a_resume() -> None:
    """Otherwise every poll would return the resume at once."""

    @workflow
    async def asking() -> int:
        return await promise("number", int)

    core = Core(clock_runs=True)
    running = asyncio.create_task(life(asking, core))
    await core.until(lambda: core.listeners == 1)
    await core.tell(SignalType.RESUME)
    await core.until(lambda: core.told is None)
    await core.send("number", b"3")

    assert await running == Ended(Outcome.DONE, b"3")


async def test_a_run_that_waits_for_an_answer_does_not_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers bring signals. The run polls once it waits for none, however slow the core is."""
    monkeypatch.setattr(inbox, "_QUIET", 0.01)
    core, end, answer = Core(), RunEnd(), asyncio.Event()
    signals = Signals(lambda: None, lambda: None, lambda: None)
    polling = SignalInbox(MemoryStore(core), signals, end).run()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(end.call_core(answer.wait))
        listening = group.create_task(polling)
        await asyncio.sleep(10 * inbox._QUIET)
        assert core.listeners == 0
        answer.set()
        await asked
        await core.until(lambda: core.listeners == 1)
        listening.cancel()


async def test_a_promise_of_several_is_heard_in_its_turn() -> None:
    """Promises in a loop have numbered names, and those of a branch have its path."""

    async def branch(name: str) -> int:
        return await promise("in", int)

    @workflow(suspend_after="0s")
    async def asking() -> list[int]:
        both = [await promise("loop", int) for _ in range(2)]
        async with TaskGroup() as group:
            tasks = [group.create_task(branch(name), name=name) for name in "ab"]
        return both + [task.result() for task in tasks]

    core = Core(sent={"loop": b"1", "loop#2": b"2", "b/in": b"4", "a/in": b"3"})

    assert await life(asking, core) == Ended(Outcome.DONE, b"[1,2,3,4]")


async def test_a_pause_lets_steps_end_and_stops_before_the_next() -> None:
    """After a resume the next run goes on."""

    @step
    async def paused() -> None:
        await core.tell(SignalType.PAUSE)
        probe.seen.append("paused")

    @workflow
    async def stepping() -> str:
        await note("one")
        await paused()
        return await note("two")

    core = Core()
    first = await life(stepping, core)
    assert (first, probe.seen) == (Ended(Outcome.SUSPENDED), ["one", "paused"])
    core.told = SignalType.RESUME
    last = await life(stepping, core)

    assert last == Ended(Outcome.DONE, b'"two"')
    assert core.calls.count("acknowledge pause") == 1


async def test_a_superseded_run_stops_where_it_is() -> None:
    """No code is unwound, and no state is saved any more."""

    @workflow
    async def stepping() -> str:
        try:
            await note("one")
            core.run += 1
            await note("two")
            return await note("never")
        finally:
            probe.seen.append("finally")

    core = Core()
    with pytest.raises(Superseded):
        await life(stepping, core)

    assert probe.seen == ["one", "two"]
    assert "note#2" not in core.states


async def test_a_core_that_cannot_list_is_read_key_by_key() -> None:
    """The results and the checks are the same as with a core that lists."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        one = await note("one")
        await sleep("1d")
        return one + await note("two")

    @workflow(name="flow")
    async def changed() -> str:
        return await note("other")

    core = Core(lists=False)
    ended = await lives(flow, core)
    core.ended = None
    again = await lives(flow, core)
    core.ended = None

    assert ended == again == Ended(Outcome.DONE, b'"onetwo"')
    assert probe.seen == ["one", "two"]
    with pytest.raises(
        NondeterminismError, match=r'\(text="other"\), and was recorded with \(text="one"\)'
    ):
        await life(changed, core)


async def test_a_new_step_costs_one_call() -> None:
    """A new step costs one call of the core, and a replayed step none."""

    @workflow
    async def many() -> None:
        for number in range(50):
            await note(str(number))

    core = Core()
    await life(many, core)
    assert len(core.calls) == 52
    core.ended = None
    core.calls.clear()
    await life(many, core)

    assert core.calls == ["complete"]


async def test_an_endless_workflow_goes_on_as_another_instance() -> None:
    """The new instance has its input; the old one is completed and names the new one."""

    @workflow
    async def agent(turn: int) -> None:
        await note(str(turn))
        try:
            await continue_as_new(turn + 1)
        finally:
            probe.seen.append("finally")

    core = Core()
    ended = await life(agent, core, b"1")

    assert ended == Ended(Outcome.RESTARTED, b'{"restarted_as": "i-1~2"}', successor="i-1~2")
    assert probe.seen == ["1"]
    heir = Core(states=core.successors["i-1~2"])
    assert (await life(agent, heir)) is not None
    assert probe.seen == ["1", "2"]
    assert successor_of("i-1~2") == "i-1~3"


async def test_a_suspended_run_reports_to_the_core_what_it_awaits() -> None:
    """Each promise and sleep is named with its deadline, the earliest first."""

    @workflow(suspend_after="0s")
    async def two_waits() -> None:
        async with TaskGroup() as group:
            group.create_task(promise("approval", str), name="a")
            group.create_task(sleep("1h"), name="b")

    core = Core()
    ended = await life(two_waits, core)

    begun = core.now.isoformat()
    assert ended is not None
    over = (core.now + timedelta(hours=1)).isoformat()
    assert ended.outcome is Outcome.SUSPENDED
    assert json.loads(core.waits) == [
        {"kind": "sleep", "name": "sleep#1", "since": begun, "until": over},
        {"kind": "signal", "name": "approval", "since": begun, "until": None},
    ]


def test_what_is_awaited_is_cut_to_what_the_core_keeps() -> None:
    """Whole entries are left out, so the rest is still a JSON list."""
    many = [Awaited("signal", "n" * 1000) for _ in range(100)]

    text = waits(many)

    assert len(text) <= 60 * 1024
    assert 50 < len(json.loads(text)) < 100
