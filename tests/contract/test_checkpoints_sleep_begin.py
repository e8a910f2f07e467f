"""Beginning a sleep: its checkpoint, its deadline, its claim."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, STIRRED, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Checkpoint, Claim, Signal, Sleep, Slept
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, WORKING, Condition, SignalType, State

ME = Caller("i")
MINUTE = timedelta(minutes=1)
DEADLINE = START + MINUTE
CLAIM = Claim("me", START + timedelta(seconds=30))
SLEEP = Sleep("c", b"state", MINUTE)


async def fall_asleep(
    persistence: Persistence,
    sleep: Sleep = SLEEP,
    *,
    caller: Caller = ME,
    when: Condition = WORKING,
    earliest: datetime | None = None,
    at: datetime = START,
) -> Slept:
    return await persistence.checkpoints.sleep(
        caller, sleep, when=when, claim=CLAIM, earliest=earliest, at=at
    )


async def test_a_new_sleep_is_kept_with_its_deadline_and_claimed(
    persistence: Persistence, database: Database
) -> None:
    """The checkpoint, the pointer, the state, the claim and the activity in one step."""
    before = await put_instance(database, State.RUNNING)
    row = await database.row("i")

    slept = await fall_asleep(persistence)

    assert slept == Slept(before, DEADLINE, after=State.ASLEEP)
    assert await database.row("i") == row | {
        "status": "suspended",
        "sleep_until": DEADLINE,
        "checkpoint_id": "c",
        "last_activity_at": START,
        "wake_claim_by": "me",
        "wake_claim_until": CLAIM.until,
    }
    kept = await persistence.checkpoints.get("i", "c")
    assert kept == Checkpoint("c", b"state", START, DEADLINE)
    assert await database.rows("instance_events") == []


async def test_asked_again_only_what_is_left_is_slept(
    persistence: Persistence, database: Database
) -> None:
    """State and duration of the later call are ignored, and a replay moves no pointer back."""
    await put_instance(database, State.RUNNING, checkpoint_id="later")
    await put_checkpoint(database, wake_at=DEADLINE)
    stored = await database.rows("checkpoints")
    again = START + timedelta(seconds=20)

    slept = await fall_asleep(persistence, Sleep("c", b"other", 10 * MINUTE), at=again)

    row = await database.row("i")
    assert (slept.wake_at, slept.after) == (DEADLINE, State.ASLEEP)
    assert (row["sleep_until"], row["last_activity_at"]) == (DEADLINE, again)
    assert row["checkpoint_id"] == "later"
    assert await database.rows("checkpoints") == stored


async def test_a_checkpoint_without_a_deadline_gets_one_now(
    persistence: Persistence, database: Database
) -> None:
    """Its state stays the one that was kept first, and the pointer where it was."""
    await put_instance(database, State.RUNNING, checkpoint_id="later")
    await put_checkpoint(database)

    slept = await fall_asleep(persistence)

    assert (slept.wake_at, slept.after) == (DEADLINE, State.ASLEEP)
    found = await persistence.checkpoints.get("i", "c")
    assert found == Checkpoint("c", b"first", EARLIER, DEADLINE)
    assert (await database.row("i"))["checkpoint_id"] == "later"


@pytest.mark.parametrize("keep_running", [False, True])
@pytest.mark.parametrize("over", [timedelta(0), timedelta(milliseconds=1), timedelta(days=999)])
@pytest.mark.parametrize("state", sorted(WORKING))
async def test_a_sleep_that_is_over_only_wakes(
    persistence: Persistence, database: Database, state: State, over: timedelta, keep_running: bool
) -> None:
    """An instance asleep becomes RUNNING with nothing left to wake it; all else but activity stays.

    The deadline itself is over.
    """
    before = await put_instance(database, state, checkpoint_id="later")
    await put_checkpoint(database, wake_at=START - over)
    stored = await database.snapshot()

    slept = await fall_asleep(persistence, replace(SLEEP, keep_running=keep_running))

    stored["instances"][0] |= STIRRED | {"last_activity_at": START}
    assert slept == Slept(before, START - over, after=State.RUNNING)
    assert await database.snapshot() == stored


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_zero_is_over_at_once_and_still_a_checkpoint(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A replay finds it, so it keeps its place among the others."""
    before = await put_instance(database, state)
    row = await database.row("i")

    slept = await fall_asleep(persistence, Sleep("c", b"", timedelta(0)))

    assert slept == Slept(before, START, after=State.RUNNING)
    moved = STIRRED | {"checkpoint_id": "c", "last_activity_at": START}
    assert await database.row("i") == row | moved
    assert await persistence.checkpoints.get("i", "c") == Checkpoint("c", b"", START, START)


async def test_a_millisecond_is_a_sleep(persistence: Persistence, database: Database) -> None:
    """The smallest there is; one millisecond later it is over."""
    await put_instance(database, State.RUNNING)
    sleep = Sleep("c", b"", timedelta(milliseconds=1))

    first = await fall_asleep(persistence, sleep)
    second = await fall_asleep(persistence, sleep, at=START + timedelta(milliseconds=1))

    assert (first.after, second.after) == (State.ASLEEP, State.RUNNING)


@pytest.mark.parametrize("days", [36_525, 36_526, 999_999_999])
async def test_more_than_a_hundred_years_count_as_a_hundred(
    persistence: Persistence, database: Database, days: int
) -> None:
    """No duration is too long."""
    await put_instance(database, State.RUNNING)
    century = START + timedelta(days=36_525)

    slept = await fall_asleep(persistence, Sleep("c", b"", timedelta(days=days)))

    assert slept.wake_at == century
    assert (await database.row("i"))["sleep_until"] == century


@pytest.mark.parametrize("keep_running", [False, True])
@pytest.mark.parametrize("state", sorted(WORKING))
async def test_with_a_cancel_pending_no_instance_falls_asleep(
    persistence: Persistence, database: Database, state: State, keep_running: bool
) -> None:
    """The deadline is kept all the same. The step returns the cancel, which stays pending."""
    before = await put_instance(database, state)
    await database.put_signal("i", SignalType.CANCEL, b"why")
    row = await database.row("i")
    signals = await database.rows("pending_signals")

    slept = await fall_asleep(persistence, replace(SLEEP, keep_running=keep_running))

    moved = STIRRED | {"checkpoint_id": "c", "last_activity_at": START}
    assert slept == Slept(before, DEADLINE, Signal(SignalType.CANCEL, b"why"), State.RUNNING)
    assert await database.row("i") == row | moved
    assert await database.rows("pending_signals") == signals
    kept = await persistence.checkpoints.get("i", "c")
    assert kept == Checkpoint("c", b"state", START, DEADLINE)


@pytest.mark.parametrize("signal", [SignalType.PAUSE, SignalType.RESUME])
async def test_another_signal_is_returned_and_lets_it_sleep(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """Only a cancel doesn't wait for a sleep."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", signal)

    slept = await fall_asleep(persistence)

    assert slept == Slept(before, DEADLINE, Signal(signal), State.ASLEEP)


async def test_an_acknowledged_cancel_lets_it_sleep(
    persistence: Persistence, database: Database
) -> None:
    """It is not pending any more."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL, acknowledged_at=EARLIER)

    slept = await fall_asleep(persistence)

    assert slept == Slept(before, DEADLINE, None, State.ASLEEP)


@pytest.mark.parametrize("when", [WORKING, frozenset({State.RUNNING}), frozenset({State.ASLEEP})])
@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("state", sorted(ANY))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State, taken: bool, when: Condition
) -> None:
    """In any other state nothing is kept, not even a deadline for a checkpoint that is there."""
    before = await put_instance(database, state)
    if taken:
        await put_checkpoint(database)
    stored = await database.snapshot()

    slept = await fall_asleep(persistence, when=when)

    assert slept.before == before
    assert (slept.after is State.ASLEEP) is (state in when)
    assert (await database.snapshot() != stored) is (state in when)


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
@pytest.mark.parametrize("wake_at", [None, EARLIER], ids=["open", "over"])
async def test_a_superseded_run_is_left_outside(
    persistence: Persistence,
    database: Database,
    run: int | None,
    admitted: bool,
    wake_at: datetime | None,
) -> None:
    """It can neither put its successor to sleep nor wake it."""
    before = await put_instance(database, State.ASLEEP)
    await put_checkpoint(database, wake_at=wake_at)
    stored = await database.snapshot()

    slept = await fall_asleep(persistence, caller=Caller("i", run))

    assert slept.before == before
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_does_not_sleep(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    slept = await fall_asleep(persistence)

    assert slept == Slept(before=None)
    assert await database.rows("checkpoints") == await database.rows("instances") == []
