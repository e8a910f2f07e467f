"""What asyncio.gather leaves under way, and which error it raises, are the same on every replay."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from tests.sdk.workflow.memory_store import Core, MemoryStore, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    NotDone,
    Outcome,
    SignalType,
    TaskGroup,
    current,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.engine.store import Saved, State


class Declined(Exception):
    """An answer."""


DECLINED = Ended(Outcome.DONE, output=b'"declined"')


@step(raises=Declined)
async def decline(name: str, opens: str = "") -> None:
    if name in ("a", "b"):
        await probe.events[name].wait()
    if opens:
        probe.events[opens].set()
    raise Declined(name)


@step(effect="external")
async def pay(name: str) -> str:
    await probe.events[name].wait()
    probe.counts[current().idempotency_key] += 1
    return name


@pay.in_doubt
async def find_payment(name: str) -> str | NotDone:
    return name if probe.counts[current().idempotency_key] else NotDone()


@step
async def note(name: str) -> str:
    return name


async def replayed(core: Core, flow: object) -> Ended | None:
    core.ended = None
    return await life(flow, core)  # type: ignore[arg-type]  # any workflow


async def test_a_replay_raises_what_was_raised_first() -> None:
    """A replay raises the error that came first, not that of gather's first argument."""

    @workflow
    async def flow() -> str:
        try:
            await asyncio.gather(decline("a"), decline("", opens="a"))
        except Declined as first:
            why = str(first)
        await asyncio.gather(note("x"), decline("a"), return_exceptions=True)
        return why

    core = Core()
    assert await life(flow, core) == Ended(Outcome.DONE, output=b'""')

    assert await replayed(core, flow) == Ended(Outcome.DONE, output=b'""')


async def test_what_a_failed_gather_leaves_is_ended_with_the_workflow() -> None:
    """A wait is cancelled, and an effect is let end and saved, so nothing of it is lost."""

    @workflow
    async def flow() -> str:
        try:
            await asyncio.gather(pay("a"), sleep("1d"), decline("", opens="a"))
        except Declined:
            return "declined"
        return "paid"

    core = Core()
    assert await life(flow, core) == DECLINED

    assert b'"result"' in core.states["pay#1"]
    assert b"~end" in core.states["sleep#1!struck"]
    assert await replayed(core, flow) == DECLINED
    assert set(probe.counts.values()) == {1}


async def test_what_a_failed_gather_leaves_is_ended_with_its_branch() -> None:
    """A replay finds no new calls in the group, whose end is recorded."""

    async def branch() -> str:
        try:
            await asyncio.gather(promise("never", str), decline(""))
        except Declined:
            return "declined"
        return "promised"

    @workflow
    async def flow() -> str:
        async with TaskGroup() as group:
            task = group.create_task(branch(), name="one")
        return task.result()

    core = Core()

    assert (
        await lives(flow, core, dies=lambda call, is_done: call == "save group#1" and is_done)
        == DECLINED
    )


async def test_what_its_end_cancels_is_nothing_to_a_branch() -> None:
    """A replay raises that cancellation before the branch has ended, and it hides no timeout."""

    @workflow(suspend_after="0s")
    async def caught() -> str:
        try:
            async with timeout("1h"):
                try:
                    await promise("never", str)
                finally:
                    with suppress(Declined):
                        await asyncio.gather(sleep("1d"), decline(""))
        except TimeoutError:
            return await note("late")
        return "in time"

    core = Core()
    late = Ended(Outcome.DONE, output=b'"late"')

    assert await lives(caught, core) == late
    assert await replayed(core, caught) == late


async def test_an_effect_begun_at_the_very_end_is_saved() -> None:
    """The effect is saved although its task had not run when the function returned."""

    @workflow
    async def flow() -> str:
        asyncio.create_task(pay("a"))  # noqa: RUF006 - a slip
        return "declined"

    probe.events["a"].set()
    core = Core()

    assert await life(flow, core) == DECLINED
    assert b'"result"' in core.states["pay#1"]


async def test_a_run_whose_gather_has_failed_goes_on() -> None:
    """The run does not suspend for the sleep that was gathered with the failed step."""

    @workflow(suspend_after="0s")
    async def flow() -> str:
        both = asyncio.gather(note("x"), asyncio.gather(sleep("1d"), decline("")))
        try:
            await asyncio.gather(both, sleep("2d"))
        except Declined:
            return await note("declined")
        return "slept"

    core = Core()

    assert await life(flow, core) == DECLINED


async def test_clean_up_that_waits_saves_nothing_while_it_does() -> None:
    """The core lets no cancelled instance sleep, so the run does not ask it to."""
    waits = asyncio.Event()

    @workflow(suspend_after="0s")
    async def flow() -> None:
        try:
            await sleep("1d")
        finally:
            await note("cleaning")
            waits.set()
            await promise("done", str)

    core = Core()
    await life(flow, core)
    await core.tell(SignalType.CANCEL)
    before = len(core.calls)
    running = asyncio.create_task(life(flow, core))
    await waits.wait()
    for _ in range(100):  # Iterations in which it could ask.
        await asyncio.sleep(0)
    await core.send("done", b'"yes"')

    assert await running == Ended(Outcome.CANCELLED)
    assert not [call for call in core.calls[before:] if call.startswith("release")]


async def test_a_task_that_is_cancelled_while_it_fails_keeps_no_other_waiting() -> None:
    """However the task is cancelled, the outcomes of other tasks are handed over."""
    saving = asyncio.Event()

    class Slow(MemoryStore):
        async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
            if key == "decline#1" and not saving.is_set():
                saving.set()
                await asyncio.get_running_loop().create_future()
            return await super().save(key, state, preceding)

    @workflow
    async def flow() -> str:
        task = asyncio.ensure_future(decline("x"))
        await saving.wait()
        asyncio.get_running_loop().call_soon(task.cancel)
        try:
            await asyncio.gather(decline("y"))
        except Declined:
            return "declined"
        return "paid"

    assert await execute(flow, Slow(Core())) == DECLINED
