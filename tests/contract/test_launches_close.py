"""Closing launches: one closes each, and its verdict is carried out in the same step."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.launching import (
    KILLED,
    SECOND,
    claim,
    close,
    hold_lease,
    judge_as_usual,
    launch,
    put_image,
    start,
)
from tests.contract.states import TENANT, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Ending,
    Event,
    EventType,
    Registration,
    Signal,
    child_signal_id,
)
from runtara_domain.model.interventions import Stop
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_domain.model.launches import KEPT_LAUNCHES, Assignment, Closing
from runtara_domain.model.stored_launches import LaunchFilter
from runtara_domain.model.verdicts import Follow
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

LOST = LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=True)
ME = Caller("i")


def exited(code: int, **more: object) -> LaunchEnd:
    end = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=code)
    return replace(end, **more)  # type: ignore[arg-type]  # Fields by name.


def left(status: OutputStatus, **more: object) -> LaunchEnd:
    output = replace(ProcessOutput(status), **more)  # type: ignore[arg-type]  # Fields by name.
    return exited(0, output=output)


async def register(persistence: Persistence, launched: Assignment) -> None:
    asked = Registration(launched.instance_id, TENANT, launch_id=launched.launch_id)
    await persistence.instances.register(asked, when=OPEN, at=launched.created_at)


async def run(persistence: Persistence, **fields: object) -> Assignment:
    """Have a launch of an instance that has registered."""
    launched = await launch(persistence, **fields)  # type: ignore[arg-type]  # Fields by name.
    await register(persistence, launched)
    return launched


async def test_crashes_without_progress_back_off_and_fail_the_instance_in_the_end(
    persistence: Persistence, database: Database
) -> None:
    """A checkpoint since the crash before begins the count anew."""
    launched = await run(persistence)
    await persistence.checkpoints.save(ME, CheckpointWrite("c", b""), when=WORKING, at=START)
    at, delays, closed = START, [], None
    for _ in range(5):
        closed = await close(persistence, launched.launch_id, KILLED, at=at)
        assert closed.launch_after is not None or closed.after is State.FAILED
        if closed.launch_after is not None:
            delays.append((closed.launch_after - at) / SECOND)
            at = closed.launch_after
            [launched] = await claim(persistence, at=at)
            await register(persistence, launched)

    assert delays == [1, 1 * 2, 4, 8]
    assert closed is not None
    assert (closed.before, closed.after) == (State.RUNNING, State.FAILED)
    row = await database.row("i")
    assert row["error"].startswith("crashed 5 times in a row without progress")
    assert (row["status"], row["finished_at"], row["launch_id"]) == ("failed", at, None)
    assert (await claim(persistence, at=at + timedelta(days=1))) == []


async def test_a_launch_that_did_its_work_keeps_its_figures(
    persistence: Persistence, database: Database
) -> None:
    """A final instance changes only in its use of CPU and memory, over all its launches."""
    used = {"memory_peak_bytes": 30, "cpu_usage_usec": 4, "stderr": "first"}
    first = await run(persistence)
    await close(persistence, first.launch_id, replace(KILLED, **used))  # type: ignore[arg-type]  # Fields by name.
    [second] = await claim(persistence, at=START + SECOND)
    await register(persistence, second)
    ended = Event(EventType.COMPLETED, b"done", START)
    ending = Ending(State.COMPLETED, b"done")
    await persistence.events.end(ME, ended, ending, when=WORKING, at=START)

    more = {"memory_peak_bytes": 20, "cpu_usage_usec": 5, "stderr": ""}
    closed = await close(persistence, second.launch_id, exited(0, **more))

    row = await database.row("i")
    assert (closed.after, row["output"], row["error"]) == (State.COMPLETED, b"done", None)
    assert (row["memory_peak_bytes"], row["cpu_usage_usec"], row["stderr"]) == (30, 9, "first")
    launches = await persistence.launches.page(LaunchFilter("i"))
    assert [(one.number, one.run, one.cause, one.verdict) for one in launches] == [
        (2, 2, "exited", "nothing"),
        (1, 1, "killed", "crash"),
    ]


async def test_code_that_refuses_its_history_is_blocked_until_there_is_a_newer_version(
    persistence: Persistence, database: Database
) -> None:
    """The next version registered under the name takes it, and it is launchable at once."""
    launched = await run(persistence)
    closed = await close(persistence, launched.launch_id, exited(64, stderr="it changed"))
    blocked = await claim(persistence, at=START + timedelta(days=1))

    newer = await put_image(persistence, code=b"newer")
    [again] = await claim(persistence)

    assert closed.after is State.PAUSED
    assert blocked == []
    assert again.image == newer
    assert (await database.row("i"))["image_id"] == newer.image_id


async def test_a_parent_hears_of_a_child_that_its_launch_failed(
    persistence: Persistence, database: Database
) -> None:
    """The verdict's ending makes a signal, as any other ending."""
    await put_instance(database, State.ASLEEP, "parent")
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await put_instance(database, State.PENDING, run=0, parent_id="parent", image_id=image.image_id)
    [launched] = await claim(persistence)

    await close(persistence, launched.launch_id, exited(1))

    pending = await persistence.signals.pending(Caller("parent"), [child_signal_id("i")])
    assert b"failed" in pending.custom_signals[child_signal_id("i")]
    assert (await database.row("parent"))["sleep_until"] == START


@pytest.mark.parametrize(
    ("end", "columns"),
    [
        (left(OutputStatus.COMPLETED, result=b"7"), {"status": "completed", "output": b"7"}),
        (left(OutputStatus.FAILED, error="no"), {"status": "failed", "error": "no"}),
        (left(OutputStatus.CANCELLED), {"status": "cancelled", "error": None}),
        (left(OutputStatus.SUSPENDED), {"status": "suspended", "sleep_until": None}),
        (
            left(OutputStatus.SLEEPING, checkpoint_id="c", wake_after=60 * SECOND),
            {
                "status": "suspended",
                "sleep_until": START + 60 * SECOND,
                "checkpoint_id": "c",
            },
        ),
    ],
    ids=["completed", "failed", "cancelled", "suspended", "sleeping"],
)
async def test_what_a_process_says_of_itself_is_applied(
    persistence: Persistence, database: Database, end: LaunchEnd, columns: dict[str, object]
) -> None:
    """This comes before other evidence of its end."""
    launched = await run(persistence)
    await put_checkpoint(database, "c")

    closed = await close(persistence, launched.launch_id, end)

    row = await database.row("i")
    assert {name: row[name] for name in columns} == columns
    assert closed.verdict is not None
    assert closed.verdict.follow is Follow.APPLY_OUTPUT
    assert closed.after is not None
    assert (row["finished_at"] is not None) == closed.after.is_final


async def test_a_pending_cancel_is_settled_by_a_process_that_says_it_suspends(
    persistence: Persistence, database: Database
) -> None:
    """The event `suspended` does the same."""
    launched = await run(persistence)
    signal = Signal(SignalType.CANCEL)
    await persistence.signals.send("i", signal, when=OPEN, at=START)

    closed = await close(persistence, launched.launch_id, left(OutputStatus.SUSPENDED))

    assert closed.after is State.CANCELLED
    [row] = await database.rows("pending_signals")
    assert row["acknowledged_at"] == START


async def test_only_a_lost_launch_is_closed_for_its_environment(persistence: Persistence) -> None:
    """Its lease is over or given up; its RUNNING instance is launchable when it has been silent."""
    launched = await run(persistence)
    lost = Closing(launched.launch_id, LOST, only_if_lost=True)
    living = await persistence.launches.close(lost, judge_as_usual, at=START)
    await hold_lease(persistence, "f")
    renewed = await persistence.environments.renew("f", ttl=SECOND)
    await persistence.environments.close("e")
    told = await persistence.environments.renew("f", ttl=timedelta(days=40_000))

    closed = await asyncio.gather(
        *(persistence.launches.close(lost, judge_as_usual, at=START) for _ in range(3))
    )
    early = await claim(persistence, "f", at=START + 44 * SECOND)
    again = await claim(persistence, "f", at=START + 45 * SECOND)

    assert renewed is not None
    assert told is not None
    assert (living.is_closed, set(renewed.lost), set(told.lost)) == (False, set(), {"e"})
    assert sorted(one.is_closed for one in closed) == [False, False, True]
    assert (early, len(again)) == ([], 1)


async def test_a_stopped_instance_is_cancelled_with_the_reason_when_its_process_ends(
    persistence: Persistence, database: Database
) -> None:
    """The exit of its process doesn't matter."""
    launched = await run(persistence)
    await persistence.launches.stop(Stop("i", reason="too dear"), at=START)

    closed = await close(persistence, launched.launch_id, exited(0))

    assert closed.after is State.CANCELLED
    assert (await database.row("i"))["error"] == "too dear"


@pytest.mark.parametrize(
    ("end", "is_stopped", "error"),
    [
        (
            exited(130, cause=Cause.TIMED_OUT, reason="timed out after 5 s"),
            False,
            "timed out after 5 s",
        ),
        (exited(130), True, "too dear"),
        (exited(130), False, None),
    ],
)
async def test_an_instance_whose_process_heard_the_cancel_says_why(
    persistence: Persistence,
    database: Database,
    end: LaunchEnd,
    is_stopped: bool,
    error: str | None,
) -> None:
    """The timeout, or the operator's reason; a cancel that a workflow was sent has none."""
    launched = await run(persistence)
    if is_stopped:
        await persistence.launches.stop(Stop("i", reason="too dear"), at=START)
    else:
        await persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
    await persistence.signals.acknowledge(ME, SignalType.CANCEL, at=START)

    closed = await close(persistence, launched.launch_id, end)

    assert (closed.after, closed.verdict and closed.verdict.follow) == (
        State.CANCELLED,
        Follow.NOTHING,
    )
    assert (await database.row("i"))["error"] == error


async def test_the_last_launches_of_an_instance_are_remembered(
    persistence: Persistence, database: Database
) -> None:
    """There is a largest number. Pages of them follow each other."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await start(persistence, image_id=image.image_id)
    again = LaunchEnd(cause=Cause.STOPPED, reports=True)
    at = START
    for _ in range(KEPT_LAUNCHES + 2):
        [launched] = await claim(persistence, at=at)
        closed = await close(persistence, launched.launch_id, again, at=at)
        assert closed.launch_after is not None
        at = closed.launch_after

    first = await persistence.launches.page(LaunchFilter("i"), limit=60)
    rest = await persistence.launches.page(LaunchFilter("i"), after=first[-1].launch_id)

    numbers = [one.number for one in (*first, *rest)]
    assert numbers == list(range(KEPT_LAUNCHES + 2, 2, -1))
