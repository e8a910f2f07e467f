"""The table of verdicts: state by exit by evidence."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from runtara_domain.launching.crashes import CrashPolicy, jittered
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_domain.model.verdicts import Follow, LaunchedInstance
from runtara_domain.status import FINAL, OPEN, State

POLICY = CrashPolicy()
RUNNING = LaunchedInstance(state=State.RUNNING, is_taken=False, has_registered=True)
KILLED = LaunchEnd(cause=Cause.KILLED, reports=True, signal=9)


def exited(code: int, *, reports: bool = True, **more: object) -> LaunchEnd:
    return replace(LaunchEnd(cause=Cause.EXITED, reports=reports, exit_code=code), **more)  # type: ignore[arg-type]  # Fields by name.


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_instance_is_left_alone(state: State, cause: Cause) -> None:
    """Whatever its process did, an instance that is final stays as it is."""
    output = ProcessOutput(OutputStatus.COMPLETED, b"1")
    end = LaunchEnd(cause=cause, reports=True, output=output)

    assert judge(end, replace(RUNNING, state=state), POLICY).follow is Follow.NOTHING


@pytest.mark.parametrize("state", sorted(OPEN))
def test_an_instance_that_another_launch_has_taken_is_left_alone(state: State) -> None:
    """A late verdict changes nothing once another run or launch has the instance."""
    taken = replace(RUNNING, state=state, is_taken=True, stop_reason="enough")

    assert judge(exited(1), taken, POLICY).follow is Follow.NOTHING


@pytest.mark.parametrize("state", [State.ASLEEP, State.PAUSED])
@pytest.mark.parametrize("end", [exited(0), exited(75), exited(1), KILLED])
def test_a_run_that_suspended_is_launched_when_due(state: State, end: LaunchEnd) -> None:
    """The process of a suspended run may end in any way."""
    assert judge(end, replace(RUNNING, state=state), POLICY).follow is Follow.NOTHING


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_launch_that_never_registered_is_judged_in_every_open_state(state: State) -> None:
    """A process that dies before it registers has crashed, though its instance sleeps."""
    unregistered = replace(RUNNING, state=state, has_registered=False)

    assert judge(KILLED, unregistered, POLICY).follow is Follow.CRASH


@pytest.mark.parametrize(
    ("code", "follow"),
    [
        (0, Follow.CRASH),
        (75, Follow.CRASH),
        (3, Follow.CRASH),
        (137, Follow.CRASH),
        (2, Follow.BLOCK),
        (64, Follow.BLOCK),
        (78, Follow.BLOCK),
        (1, Follow.FAIL),
        (65, Follow.FAIL),
        (4, Follow.RELAUNCH),
    ],
)
def test_an_exit_code_of_our_sdk_says_what_follows(code: int, follow: Follow) -> None:
    """Only processes that follow our exit codes are understood by them."""
    assert judge(exited(code), RUNNING, POLICY).follow is follow
    assert judge(exited(code, reports=False), RUNNING, POLICY).follow is Follow.CRASH


@pytest.mark.parametrize("reports", [True, False])
def test_what_a_process_wrote_counts_before_its_exit(reports: bool) -> None:
    """A valid output.json is applied first, whatever the exit code says."""
    output = ProcessOutput(OutputStatus.COMPLETED, b'{"a": 1}')

    verdict = judge(exited(1, reports=reports, output=output), RUNNING, POLICY)

    assert (verdict.follow, verdict.output) == (Follow.APPLY_OUTPUT, output)


def test_an_output_that_failed_without_a_reason_gets_one() -> None:
    """A failed instance always has an error."""
    verdict = judge(exited(0, output=ProcessOutput(OutputStatus.FAILED)), RUNNING, POLICY)

    assert verdict.error == "the process reported a failure without a reason"


def test_a_stopped_instance_is_cancelled_with_the_reason() -> None:
    """The exit that an operator's stop brought about is no crash."""
    verdict = judge(KILLED, replace(RUNNING, stop_reason="too expensive"), POLICY)

    assert (verdict.follow, verdict.error) == (Follow.CANCEL, "too expensive")


def test_a_launch_that_was_timed_out_fails_its_instance() -> None:
    """A process that did not acknowledge the cancel of its timeout has failed."""
    end = LaunchEnd(cause=Cause.TIMED_OUT, reports=True, signal=9, reason="timed out after 5 s")

    verdict = judge(end, RUNNING, POLICY)

    assert (verdict.follow, verdict.error) == (Follow.FAIL, "timed out after 5 s")


@pytest.mark.parametrize(
    "cause",
    ["environment_lost", "machine_restarted", "image_missing", "runner_failed", "stopped"],
)
def test_what_lies_outside_the_instance_backs_off_and_counts_for_nothing(cause: str) -> None:
    """The number of crashes stays as it was."""
    instance = replace(RUNNING, crashes=4, last_delay=timedelta(seconds=2))

    verdict = judge(LaunchEnd(cause=Cause(cause), reports=False), instance, POLICY)

    assert verdict.follow is Follow.RELAUNCH
    assert (verdict.crashes, verdict.delay) == (4, timedelta(seconds=4))


def test_crashes_in_a_row_fail_the_instance() -> None:
    """The error names the count and the last cause, and ends with what the process wrote."""
    end = replace(KILLED, stderr="Segmentation fault")

    verdict = judge(end, replace(RUNNING, crashes=4), POLICY)

    assert verdict.follow is Follow.FAIL
    assert verdict.error == (
        "crashed 5 times in a row without progress, the last time: killed by signal 9\n"
        "Segmentation fault"
    )


def test_progress_begins_the_count_and_the_back_off_anew() -> None:
    """A checkpoint saved since the crash before is progress."""
    instance = replace(
        RUNNING, crashes=4, checkpoint_id="b", last_checkpoint_id="a", last_delay=POLICY.longest
    )

    verdict = judge(KILLED, instance, POLICY)

    assert verdict.follow is Follow.CRASH
    assert (verdict.crashes, verdict.delay) == (1, timedelta(seconds=1))


def test_every_end_of_every_instance_has_a_verdict() -> None:
    """An open instance whose launch is over is launched again, or its view asks a person to act."""
    waits_for_its_launch = {Follow.RELAUNCH, Follow.CRASH}
    codes: tuple[int | None, ...] = (None, 0, 1, 2, 3, 4, 64, 65, 75, 78, 255)
    for cause, code, reports in product(Cause, codes, (True, False)):
        end = LaunchEnd(cause=cause, reports=reports, exit_code=code)
        for state, registered in product(sorted(OPEN), (True, False)):
            instance = replace(RUNNING, state=state, has_registered=registered)

            verdict = judge(end, instance, POLICY)

            assert (verdict.delay is not None) == (verdict.follow in waits_for_its_launch)
            if verdict.follow in (Follow.FAIL, Follow.BLOCK, Follow.CANCEL):
                assert verdict.error


@pytest.mark.parametrize(
    ("chance", "seconds"),
    [(0.0, 3.0), (0.5, 4.0), (1.0, 5.0)],
)
def test_a_delay_is_spread_around_itself(chance: float, seconds: float) -> None:
    """Instances that crashed together are not launched together."""
    assert jittered(timedelta(seconds=4), chance) == timedelta(seconds=seconds)


def test_back_off_doubles_up_to_its_longest() -> None:
    """It grows from 1 s to 60 s."""
    delays, last = [], None
    for _ in range(8):
        last = POLICY.next_delay(last)
        delays.append(last.total_seconds())

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
