"""What people see of a run while it runs: its progress, and what it awaits."""

import asyncio
import json

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    Ended,
    NotSerializable,
    Outcome,
    Promise,
    Retry,
    SignalType,
    report,
    step,
    workflow,
)
from runtara_sdk.workflow.engine import reporting

NEWS = Promise("news", str)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_INTERVAL", 0.05)


def progress(core: Core) -> list[object]:
    return [json.loads(one) for _, one in core.reports if one is not None]


@step
async def work(number: int) -> int:
    report({"at": number})
    return number


@step
def in_thread() -> None:
    report("in a thread")


async def test_the_last_report_is_sent_before_the_run_ends() -> None:
    """Of many reports about one a second is sent."""

    @workflow
    async def flow() -> None:
        for number in range(50):
            await work(number)
        await in_thread()
        await asyncio.sleep(0)

    core = Core()
    await life(flow, core)

    assert progress(core)[-1] == "in a thread"
    assert len(core.reports) < 50


async def test_a_report_is_sent_before_the_process_leaves() -> None:
    @workflow(suspend_after="0s")
    async def flow() -> str:
        report("waiting for news")
        return await NEWS.get()

    core = Core()
    ended = await life(flow, core)

    assert ended is not None
    assert ended.outcome is Outcome.SUSPENDED
    assert progress(core) == ["waiting for news"]


async def test_what_a_replay_passes_again_is_not_reported_again() -> None:
    @workflow(suspend_after="0s")
    async def flow() -> None:
        report("begun")
        await work(1)
        await NEWS.get()
        report("heard")

    core = Core()
    await life(flow, core)
    core.reports.clear()
    await core.send("news", b'"x"')
    await life(flow, core)

    assert progress(core) == ["heard"]


@pytest.mark.usefixtures("quickly")
async def test_a_run_that_stays_reports_what_it_awaits_and_when_it_goes_on() -> None:
    @workflow
    async def flow() -> str:
        return await NEWS.get(timeout="1d")

    core = Core()
    running = asyncio.create_task(life(flow, core))
    await core.until(lambda: len(core.reports) == 1)
    await core.send("news", b'"x"')
    await running
    [told] = json.loads(core.reports[0][0] or "")

    assert (told["kind"], told["name"]) == ("signal", "news")
    assert told["until"] == "2026-01-02T00:00:00+00:00"


@pytest.mark.usefixtures("quickly")
async def test_a_retry_says_why_and_a_step_at_work_that_nothing_is_awaited() -> None:
    @step(retry=Retry(attempts=2, wait="1h", cap="1h", on=OSError))
    async def flaky() -> None:
        raise OSError("out of order")

    @step
    async def until_told() -> None:
        async with asyncio.timeout(60), core.stir:
            await core.stir.wait_for(lambda: len(core.reports) > 1)

    @workflow(suspend_after="2h")
    async def flow() -> None:
        try:
            await flaky()
        finally:
            await until_told()

    core = Core()
    running = asyncio.create_task(life(flow, core))
    await core.until(lambda: len(core.reports) == 1)
    await core.tell(SignalType.CANCEL)
    assert await running == Ended(Outcome.CANCELLED)
    [told] = json.loads(core.reports[0][0] or "")

    assert (told["kind"], told["name"]) == ("retry", "flaky#1")
    assert told["reason"] == "OSError: out of order"
    assert core.reports[1] == ("[]", None)


async def test_a_run_of_steps_alone_reports_nothing() -> None:
    @step
    async def silent() -> None: ...

    @workflow
    async def flow() -> None:
        for _ in range(200):
            await silent()

    core = Core()
    await life(flow, core)

    assert core.reports == []


def test_an_unusable_report_is_refused_and_outside_nothing_is_sent() -> None:
    report("outside")
    with pytest.raises(NotSerializable, match=r"report\(\) gave"):
        report(object())
    with pytest.raises(NotSerializable, match="at most 65536 bytes"):
        report("x" * 65_536)
