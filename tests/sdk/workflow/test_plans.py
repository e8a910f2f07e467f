"""What a retry sets aside lets the instance go on; what a fork copies ends before its call."""

import asyncio
from contextlib import suppress

import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Retry,
    SignalType,
    StepFailed,
    TaskGroup,
    WorkflowError,
    sleep,
    step,
    workflow,
)
from runtara_sdk.workflow import Outcome, RetryPlan, Workflow, plan_fork, plan_retry


class Declined(Exception): ...


@step(raises=Declined)
async def work(name: str) -> str:
    probe.seen.append(name)
    if name in probe.broken:
        raise Declined(f"{name} was declined")
    return name


@step(retry=Retry(attempts=2, wait="0s", on=OSError), effect="external")
async def charge(name: str) -> str:
    probe.seen.append(name)
    if name in probe.broken:
        raise OSError(f"{name} is out of order")
    return name


@step
async def hold(name: str) -> str:
    """End only when nothing is broken any more."""
    if probe.broken:
        await asyncio.get_running_loop().create_future()
    probe.seen.append(name)
    return name


async def retried(flow: Workflow[[], str], core: Core, *failing: str) -> RetryPlan:
    """Let it fail, set aside what the plan says, and let it go on to its end."""
    probe.broken.update(failing)
    first = await life(flow, core)
    assert first is not None
    assert first.outcome is Outcome.FAILED
    plan = plan_retry(list(core.states.items()), first.error)
    for key in plan.forget:
        del core.states[key]
    probe.broken.clear()
    probe.seen.clear()
    core.ended = None
    again = await life(flow, core)
    assert again is not None
    assert again.outcome is Outcome.DONE, again.error
    return plan


async def test_the_failure_that_ended_it_is_set_aside_with_its_attempts() -> None:
    @workflow
    async def flow() -> str:
        await work("before")
        return await charge("card")

    plan = await retried(flow, Core(), "card")

    assert plan.again == ("charge#1",)
    assert set(plan.forget) == {
        *("charge#1", "charge#1!failed#1", "charge#1!intent#1", "charge#1!intent#2")
    }
    assert probe.seen == ["card"]


async def test_a_failure_that_was_handled_stays() -> None:
    @workflow
    async def flow() -> str:
        with suppress(Declined):
            await work("handled")
        await work("between")
        return await work("fatal")

    plan = await retried(flow, Core(), "handled", "fatal")

    assert plan == RetryPlan(("work#3",), ("work#3",), (), ())
    assert probe.seen == ["fatal"]


async def test_what_a_group_cancelled_with_the_failure_is_done_as_well() -> None:
    @workflow
    async def flow() -> str:
        async with TaskGroup() as outer:
            outer.create_task(inner(), name="outer")
        return await work("after")

    async def inner() -> None:
        async with TaskGroup() as group:
            group.create_task(waits(), name="waits")
            group.create_task(work("fails"), name="fails")

    async def waits() -> str:
        return await hold("waited")

    plan = await retried(flow, Core(), "fails")

    assert set(plan.again) == {"outer/work#1", "outer/waits/hold#1"}
    assert {"group#1", "outer/group#1"} <= {*plan.forget}
    assert sorted(probe.seen) == ["after", "fails", "waited"]


async def test_what_gather_left_is_done_as_well() -> None:
    @workflow
    async def flow() -> str:
        return "".join(await asyncio.gather(hold("late"), work("fails")))

    plan = await retried(flow, Core(), "fails")

    assert set(plan.again) == {"hold#1", "work#1"}
    assert sorted(probe.seen) == ["fails", "late"]


async def test_siblings_in_a_task_group_of_asyncios_are_done_as_well() -> None:
    @workflow
    async def flow() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits())
            group.create_task(fails())
        return await work("after")

    async def waits() -> None:
        await hold.keyed("h")("sibling")

    async def fails() -> None:
        await work.keyed("f")("fails")

    plan = await retried(flow, Core(), "fails")

    assert set(plan.again) == {"work~f", "hold~h"}
    assert sorted(probe.seen) == ["after", "fails", "sibling"]


async def test_an_error_that_hides_its_cause_has_the_last_failure_retried() -> None:
    @workflow
    async def flow() -> str:
        await work("before")
        try:
            return await work("fails")
        except Declined:
            raise ValueError("no luck") from None

    assert (await retried(flow, Core(), "fails")).again == ("work#2",)


async def test_calls_that_cleaned_up_are_named() -> None:
    @workflow
    async def flow() -> str:
        try:
            return await work("fails")
        except Declined:
            await work("refund")
            raise

    core = Core()
    probe.broken.add("fails")
    ended = await life(flow, core)
    assert ended is not None
    plan = plan_retry(list(core.states.items()), ended.error)

    assert (plan.again, plan.done_after) == (("work#1",), ("work#2",))


async def test_a_failure_of_the_code_itself_sets_nothing_aside() -> None:
    @workflow
    async def flow() -> str:
        await work("before")
        if "code" in probe.broken:
            raise ZeroDivisionError
        return await work("after")

    assert await retried(flow, Core(), "code") == RetryPlan((), (), (), ())
    assert probe.seen == ["after"]


async def test_a_cancelled_instance_goes_on_where_it_was_cancelled() -> None:
    @workflow(suspend_after="0s")
    async def flow() -> str:
        await sleep("1d")
        return await work("after")

    core = Core()
    await life(flow, core)
    await core.tell(SignalType.CANCEL)
    ended = await life(flow, core)
    assert ended is not None
    assert ended.outcome is Outcome.CANCELLED
    plan = plan_retry(list(core.states.items()), None)
    for key in plan.forget:
        del core.states[key]
    core.ended = core.told = None
    assert core.wake is None
    resumed = await life(flow, core)

    assert plan.again == ("sleep#1",)
    assert resumed is not None
    assert resumed.outcome is Outcome.SUSPENDED


async def test_a_fork_copies_what_was_saved_before_the_call() -> None:
    @workflow
    async def flow() -> str:
        await work("one")
        with suppress(StepFailed):
            await charge("card")
        await work("two")
        return await work("three")

    core = Core()
    probe.broken.add("card")
    await life(flow, core)
    history = list(core.states.items())
    plan = plan_fork(history, "charge#1")

    assert (plan.up_to, plan.before) == ("work#1", "charge#1!intent#1")
    assert plan.again == ("charge#1", "work#2", "work#3")
    assert plan_fork(history, "work#3").again == ("work#3",)
    assert plan_fork(history, "work#1").up_to == "~workflow"
    with pytest.raises(WorkflowError, match=r"no call 'charge#2': name one .*'charge#1'"):
        plan_fork(history, "charge#2")


def test_a_large_state_is_none_that_failed() -> None:
    assert plan_retry([("work#1", None)], "ValueError: x").forget == ()
