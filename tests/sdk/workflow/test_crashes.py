"""Whatever call of the core a process dies at, the next one goes on as if nothing had been."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import SignalType
from runtara_sdk.workflow import (
    Ended,
    NotDone,
    Outcome,
    Retry,
    StepFailed,
    TaskGroup,
    Workflow,
    current,
    map_steps,
    now,
    patched,
    promise,
    sleep,
    step,
    timeout,
    uuid4,
    workflow,
)

pytestmark = pytest.mark.slow

LONG = timedelta(days=30)

Dies = Callable[[str, bool], bool]


class Declined(Exception):
    pass


@dataclass(frozen=True)
class Receipt:
    number: int
    text: str


@step
async def charge(number: int) -> Receipt:
    return Receipt(number, f"r{number}")


@step(raises=Declined)
def decline(number: int) -> int:
    raise Declined("no", number)


@step(retry=Retry(attempts=4, wait=0))
async def flaky(good_at: int) -> int:
    if current().attempt < good_at:
        raise ConnectionError(f"attempt {current().attempt}")
    return current().attempt


@step(effect="external", raises=Declined)
async def refund(receipt: Receipt) -> str:
    probe.counts[current().idempotency_key] += 1
    return receipt.text


@refund.in_doubt
async def find_refund(receipt: Receipt) -> str | NotDone:
    return receipt.text if probe.counts[current().idempotency_key] else NotDone()


@workflow(suspend_after="0s")
async def everything(count: int) -> dict[str, object]:
    seen: list[object] = []
    receipt = await charge(count)
    try:
        await decline(1)
    except Declined as error:
        seen.append(list(error.args))
    seen += [await flaky(3)]
    try:
        await flaky(9)
    except StepFailed as error:
        seen.append(str(error))
    seen.append(await refund(receipt))
    await sleep("3d")
    seen.append(await promise("approval", int))
    seen += [r.number for r in await asyncio.gather(charge(1), charge(2))]
    async with TaskGroup() as group:
        tasks = [group.create_task(branch(number), name=f"n/{number}") for number in range(3)]
    seen += [task.result() for task in tasks]
    seen += [r.text for r in await map_steps(charge, range(5), key=str, limit=2)]
    if await patched("new"):
        seen.append("patched")
    try:
        async with timeout("1h"):
            seen += [r.text for r in await map_steps(charge, range(2), key=str)]
            await promise("never", int)
    except TimeoutError:
        seen.append("late")
    assert await now() <= await now()
    assert await uuid4() != await uuid4()
    return {"seen": seen}


async def branch(number: int) -> str:
    first = await charge(number)
    await sleep(number)
    second = await charge(number + 10)
    return first.text + second.text


@workflow(suspend_after="0s")
async def cancelled() -> None:
    try:
        async with TaskGroup() as group:
            group.create_task(clean_branch(1), name="one")
            group.create_task(clean_branch(2), name="two")
    except asyncio.CancelledError:
        await refund(Receipt(3, "root"))
        raise


async def clean_branch(number: int) -> None:
    try:
        await sleep("1d")
    finally:
        await refund(Receipt(number, "branch"))


async def failing_branch() -> None:
    try:
        await sleep("1d")
    finally:
        raise ValueError("in clean-up")


async def failing_group(number: int) -> None:
    try:
        async with TaskGroup() as group:
            group.create_task(clean_branch(number), name=f"clean/{number}")
            group.create_task(failing_branch(), name="failing")
    except* ValueError:
        await refund(Receipt(number, "dealt with"))


@workflow(suspend_after="0s")
async def timed_out() -> list[str]:
    seen: list[str] = []
    try:
        async with timeout("1h"):
            try:
                async with timeout("30m"):
                    await clean_branch(1)
            except TimeoutError:
                seen.append("inner")
                await clean_branch(2)
    except TimeoutError:
        seen.append("outer")
    try:
        async with timeout("1h"):
            await asyncio.gather(sleep("1d"), promise("never", int), return_exceptions=True)
            await refund(Receipt(0, "never"))
    except TimeoutError:
        seen.append("gathered")
    try:
        async with timeout("1h"):
            await failing_group(3)
            await refund(Receipt(0, "never"))
    except TimeoutError:
        seen.append("grouped")
    return seen


@workflow(suspend_after="0s")
async def failing_cancelled() -> None:
    await failing_group(1)
    await refund(Receipt(0, "never"))


def dying_at(number: int, *, is_done: bool) -> Dies:
    """Die once, at the call of this number, before or after it is carried out."""
    calls = itertools.count()
    return lambda call, after: after == is_done and next(calls) == number


@dataclass(frozen=True)
class Story:
    """A whole life of an instance: how it ended, what it saved, what was done to the world."""

    ended: Ended
    keys: frozenset[str]
    effects: dict[str, int]


async def story(
    flow: Workflow[..., Any], given: bytes | None, dies: Dies | None, told: SignalType | None = None
) -> tuple[Story, int]:
    """Live one, and count the calls of the core in it; `told` when it is suspended first."""
    probe.counts.clear()
    core = Core(sent={"approval": b"7"})
    if told is not None:
        await life(flow, core, given)
        await core.tell(told)
        core.calls.clear()
    ended = await lives(flow, core, given, dies)
    keys = frozenset(key for key in core.states if not key.startswith("~"))
    return Story(ended, keys, dict(probe.counts)), len(core.calls)


async def check_all_deaths(
    flow: Workflow[..., Any], given: bytes | None = None, told: SignalType | None = None
) -> Story:
    whole, calls = await story(flow, given, None, told)
    for number, is_done in itertools.product(range(calls), (False, True)):
        crashed, _ = await story(flow, given, dying_at(number, is_done=is_done), told)
        assert crashed == whole, (number, is_done)
    return whole


async def test_dying_at_any_call_changes_nothing() -> None:
    """The output and the keys are the same, and each external effect happens exactly once."""
    whole = await check_all_deaths(everything, b"4")

    assert whole.ended.outcome is Outcome.DONE
    assert set(whole.effects.values()) == {1}


async def test_dying_at_any_call_of_a_cancel_changes_nothing() -> None:
    """Each branch cleans up once, then the workflow, and then the cancel is acknowledged."""
    whole = await check_all_deaths(cancelled, told=SignalType.CANCEL)

    assert whole.ended.outcome is Outcome.CANCELLED
    assert sorted(whole.effects.values()) == [1, 1, 1]
    assert {key for key in whole.keys if "sleep" in key and "!" in key} == {
        "one/sleep#1!struck",
        "two/sleep#1!struck",
    }


async def test_dying_at_any_call_hides_no_timeout() -> None:
    """A timeout is raised once, whatever the run dies at."""
    whole = await check_all_deaths(timed_out)

    assert whole.ended == Ended(Outcome.DONE, b'["inner","outer","gathered","grouped"]')
    assert sorted(whole.effects.values()) == [1, 1, 1, 1]


async def test_dying_for_long_at_any_call_hides_no_timeout() -> None:
    """
    An outer timeout may be over before an inner one is entered; what was raised is raised
    again.
    """
    _, calls = await story(timed_out, None, None)
    for number, is_done in itertools.product(range(calls), (False, True)):
        probe.counts.clear()
        core = Core()
        ended = await lives(timed_out, core, None, dying_at(number, is_done=is_done), LONG)
        core.ended, core.now = None, core.now + LONG

        assert ended.output.endswith(b'"outer","gathered","grouped"]'), (number, is_done)
        assert await lives(timed_out, core) == ended
        assert set(probe.counts.values()) == {1}


async def test_dying_at_any_call_hides_no_cancel() -> None:
    """The cancel is raised even if the errors of branches took its place."""
    whole = await check_all_deaths(failing_cancelled, told=SignalType.CANCEL)

    assert whole.ended.outcome is Outcome.CANCELLED
    assert sorted(whole.effects.values()) == [1, 1]


@pytest.mark.long
async def test_dying_for_long_at_any_call_lets_no_timeout_cancel_the_past() -> None:
    """What passed before a deadline passes again in a replay behind it."""
    _, calls = await story(everything, b"4", None)
    for number, is_done in itertools.product(range(calls), (False, True)):
        probe.counts.clear()
        core = Core(sent={"approval": b"7"})
        dies = dying_at(number, is_done=is_done)
        ended = await lives(everything, core, b"4", dies, LONG)
        core.ended, core.now = None, core.now + LONG

        assert ended.outcome is Outcome.DONE, (number, is_done)
        assert await lives(everything, core, b"4") == ended
        assert set(probe.counts.values()) == {1}
