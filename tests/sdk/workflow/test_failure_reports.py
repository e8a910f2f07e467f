"""What a failure's report has: the frames of user code, and what to do."""

import asyncio

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    NotSerializable,
    Outcome,
    Retry,
    Step,
    StepFailed,
    TaskGroup,
    Workflow,
    current,
    step,
    workflow,
)


class Declined(Exception):
    """An answer."""


def look_up(number: int) -> int:
    try:
        return {0: 0}[number]
    except KeyError as error:
        raise ValueError(f"no {number}") from error


@step
async def looking(number: int) -> int:
    return look_up(number)


@step
def looking_in_a_thread(number: int) -> int:
    return look_up(number)


@step(raises=Declined)
async def declining(number: int) -> int:
    raise Declined(number)


@step(timeout="10ms")
async def dawdling(number: int) -> int:
    await asyncio.Event().wait()
    return number


def calling_without(one: Step[[], int]) -> Workflow[[], int]:
    @workflow
    async def caller() -> int:
        return await one()

    return caller


def calling(one: Step[[int], int]) -> Workflow[[], int]:
    @workflow
    async def caller() -> int:
        return await one(7)

    return caller


def files(report: str) -> set[str]:
    """The files whose frames a report shows."""
    lines = [line.strip(" |").split('"') for line in report.splitlines()]
    return {parts[1].rpartition("/")[2] for parts in lines if parts[0] == "File "}


async def told(called: Workflow[[], int]) -> str:
    """How a life ends that fails, and another that replays it, alike."""
    core = Core()
    live = await life(called, core)
    core.ended = None
    replayed = await life(called, core)

    assert live is not None
    assert live.outcome is Outcome.FAILED
    assert live == replayed
    return live.error


@pytest.mark.parametrize("one", [looking, looking_in_a_thread], ids=["task", "thread"])
async def test_a_failed_step_is_reported_with_user_frames_and_its_cause(
    one: Step[[int], int],
) -> None:
    """
    The frames are the call in the workflow and the way through the step, but none of a
    thread's.
    """
    name = one.__name__  # type: ignore[attr-defined]  # as of the function it wraps
    report = await told(calling(one))

    assert files(report) == {"test_failure_reports.py"}
    assert report.startswith(
        f"StepFailed: step {name!r} ({name}#1) failed after 1 attempt: ValueError: no 7"
        " (raised as StepFailed; to catch it as ValueError, name it as an answer of the step:"
        " @step(raises=ValueError))\n"
    )
    told_of = [
        "return await one(7)",
        f"In {name}#1, attempt 1: Traceback",
        "KeyError: 7",
        "The above exception was the direct cause of the following exception:\n\nTraceback",
        "return look_up(number)",
        "ValueError: no 7",
    ]
    places = [report.rindex(each) for each in told_of]
    assert places == sorted(places)


async def test_an_unusable_answer_says_where_it_came_from() -> None:
    """It is raised as itself, and the step's frames are a note."""
    report = await told(calling(declining))

    assert report.startswith("Declined: 7\n")
    assert "In declining#1, attempt 1: Traceback" in report
    assert "raise Declined(number)" in report


async def test_an_attempt_that_took_too_long_says_so_and_where_it_was() -> None:
    """The exception of a timeout has no words of its own."""
    report = await told(calling(dawdling))

    assert "TimeoutError: the attempt took longer than timeout='10ms'" in report.splitlines()[0]
    assert "await asyncio.Event().wait()" in report
    assert "attempts.py" not in report


async def test_a_timeout_of_the_users_own_stays_what_it_was() -> None:
    """It keeps its text in a step that has a timeout as well."""

    @step(timeout="1h")
    async def hurrying(number: int) -> int:
        raise TimeoutError("mine")

    assert "TimeoutError: mine" in (await told(calling(hurrying))).splitlines()[0]


async def test_branches_are_reported_with_user_frames() -> None:
    """Each error of the group has the frames of user code."""

    @workflow
    async def grouping() -> int:
        async with TaskGroup() as group:
            group.create_task(caught(), name="a")
        return 0

    async def caught() -> int:
        try:
            return await looking(7)
        except StepFailed as error:
            raise LookupError("not found") from error

    report = await told(grouping)

    assert files(report) == {"test_failure_reports.py"}
    assert "LookupError: not found" in report
    assert "step 'looking' (a/looking#1) failed" in report


async def test_an_output_that_cannot_be_saved_is_one_line() -> None:
    """No frame of the user's has part in it."""

    @workflow
    async def wrong() -> int:
        return object  # type: ignore[return-value]

    core = Core()
    with pytest.raises(NotSerializable):
        await life(wrong, core)

    assert core.blocked is not None
    assert core.blocked.startswith(
        "NotSerializable: workflow 'wrong' gave <class 'object'>, which can't"
    )
    assert core.blocked.count("\n") == 0


async def test_an_attempt_that_is_made_again_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log has its number, its error, and when the next is made."""

    @step(retry=Retry(attempts=2, wait="1ms"))
    async def second_time(number: int) -> int:
        return look_up(0 if current().attempt == 2 else number)

    ended = await life(calling(second_time), Core())

    assert ended is not None
    assert ended.output == b"0"
    (line,) = [each for each in caplog.messages if "second_time" in each]
    assert line.startswith("second_time#1: attempt 1 of 2 failed, the next is made in ")
    assert line.endswith("s: ValueError: no 7")


class Mute(Exception):
    def __str__(self) -> str:
        raise LookupError("it can't say")


async def test_an_error_that_fails_to_say_what_it_is_fails_the_workflow() -> None:
    """It fails its step or its workflow like any other error."""

    @step
    async def muttering() -> int:
        raise Mute

    @workflow
    async def mute() -> int:
        raise Mute

    own, of_a_step = await told(mute), await told(calling_without(muttering))

    assert own.startswith("Mute: <exception str() failed>")
    assert of_a_step.startswith("StepFailed: step 'muttering' (muttering#1) failed after 1 attempt")
    assert "LookupError" not in own + of_a_step


async def test_a_cancel_without_a_sender_is_reported_with_its_origin() -> None:
    @workflow
    async def cancelling() -> int:
        raise asyncio.CancelledError("by a library")

    report = await told(cancelling)

    assert report.startswith("CancelledError: by a library")
    assert files(report) == {"test_failure_reports.py"}
