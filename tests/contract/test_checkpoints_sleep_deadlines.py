"""Several sleeps of an instance: which deadline it is due by, and what keeps running."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Checkpoint, Claim, Sleep, Slept
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import WORKING, State

ME = Caller("i")
MINUTE = timedelta(minutes=1)
CLAIM = Claim("me", START + timedelta(seconds=30))


async def fall_asleep(
    persistence: Persistence,
    sleep: Sleep,
    *,
    earliest: datetime | None = None,
    claim: Claim = CLAIM,
) -> Slept:
    return await persistence.checkpoints.sleep(
        ME, sleep, when=WORKING, claim=claim, earliest=earliest, at=START
    )


def sleep_for(minutes: int, *, keep_running: bool = False) -> Sleep:
    return Sleep("c", b"state", minutes * MINUTE, keep_running)


@pytest.mark.parametrize(
    ("minutes", "earliest", "expected"),
    [(5, None, 5), (5, 3, 3), (5, 7, 5), (5, 5, 5), (90, None, 60), (90, 70, 60), (90, 30, 30)],
)
async def test_the_instance_sleeps_until_the_first_of_its_deadlines(
    persistence: Persistence,
    database: Database,
    minutes: int,
    earliest: int | None,
    expected: int,
) -> None:
    """This one's, those held for it, and, as it is asleep, what it slept until (an hour)."""
    await put_instance(database, State.ASLEEP)
    held = None if earliest is None else START + earliest * MINUTE

    slept = await fall_asleep(persistence, sleep_for(minutes), earliest=held)

    assert (slept.wake_at, slept.after) == (START + minutes * MINUTE, State.ASLEEP)
    assert (await database.row("i"))["sleep_until"] == START + expected * MINUTE


async def test_an_instance_that_runs_sleeps_until_what_is_held_for_it(
    persistence: Persistence, database: Database
) -> None:
    """A branch of it stirred it; the sleeps of its other branches are still held.

    A time to wake that other programs left in its row was not slept until.
    """
    await put_instance(database, State.RUNNING, sleep_until=EARLIER)

    slept = await fall_asleep(persistence, sleep_for(5), earliest=START + 3 * MINUTE)

    assert slept.wake_at == START + 5 * MINUTE
    assert (await database.row("i"))["sleep_until"] == START + 3 * MINUTE


async def test_each_checkpoint_has_its_own_deadline(
    persistence: Persistence, database: Database
) -> None:
    """Several sleeps are requested one after another, and each gets its own answer."""
    await put_instance(database, State.RUNNING)

    first = await fall_asleep(persistence, Sleep("a", b"", 5 * MINUTE))
    second = await fall_asleep(persistence, Sleep("b", b"", 3 * MINUTE), earliest=first.wake_at)
    third = await fall_asleep(persistence, Sleep("a", b"", MINUTE), earliest=second.wake_at)

    assert [slept.wake_at for slept in (first, second, third)] == [
        START + 5 * MINUTE,
        START + 3 * MINUTE,
        START + 5 * MINUTE,
    ]
    row = await database.row("i")
    assert (row["sleep_until"], row["checkpoint_id"]) == (START + 3 * MINUTE, "b")


@pytest.mark.parametrize("holder", [None, "me", "me/too", "somebody", "me2"])
@pytest.mark.parametrize("until", [EARLIER, START, WAKE])
@pytest.mark.parametrize("state", sorted(WORKING))
async def test_it_is_claimed_unless_another_owners_claim_runs(
    persistence: Persistence, database: Database, state: State, until: datetime, holder: str | None
) -> None:
    """The owner of that claim is about to launch it: only another server's claim is taken over."""
    await put_instance(database, state, wake_claim_by=holder, wake_claim_until=until)

    slept = await fall_asleep(persistence, sleep_for(5))

    row = await database.row("i")
    is_taken = until <= START or holder in (None, "me", "me/too")
    expected = ("me", CLAIM.until) if is_taken else (holder, until)
    assert (row["wake_claim_by"], row["wake_claim_until"]) == expected
    assert (row["sleep_until"], slept.after) == (START + 5 * MINUTE, State.ASLEEP)


@pytest.mark.parametrize("taken", [False, True])
async def test_keep_running_keeps_the_deadline_and_moves_no_state(
    persistence: Persistence, database: Database, taken: bool
) -> None:
    """Other branches of the process work on: it is not asleep, and not claimed."""
    before = await put_instance(database, State.RUNNING)
    if taken:
        await put_checkpoint(database)
    row = await database.row("i")

    slept = await fall_asleep(
        persistence, sleep_for(5, keep_running=True), earliest=START + 3 * MINUTE
    )

    deadline = START + 5 * MINUTE
    pointer = {} if taken else {"checkpoint_id": "c"}
    assert slept == Slept(before, deadline, after=State.RUNNING)
    assert await database.row("i") == row | pointer | {"last_activity_at": START}
    kept = await persistence.checkpoints.get("i", "c")
    first = Checkpoint("c", b"first", EARLIER, deadline)
    assert kept == (first if taken else Checkpoint("c", b"state", START, deadline))


async def test_keep_running_does_not_run_what_sleeps(
    persistence: Persistence, database: Database
) -> None:
    """An instance asleep stays so, until the first of its deadlines, and is claimed."""
    before = await put_instance(database, State.ASLEEP, wake_claim_until=EARLIER)
    row = await database.row("i")

    slept = await fall_asleep(persistence, sleep_for(5, keep_running=True))

    deadline = START + 5 * MINUTE
    assert slept == Slept(before, deadline, after=State.ASLEEP)
    assert await database.row("i") == row | {
        "sleep_until": deadline,
        "checkpoint_id": "c",
        "last_activity_at": START,
        "wake_claim_by": "me",
        "wake_claim_until": CLAIM.until,
    }


async def test_a_sleep_kept_running_may_be_slept_later(
    persistence: Persistence, database: Database
) -> None:
    """The deadline is the same one."""
    await put_instance(database, State.RUNNING)

    awake = await fall_asleep(persistence, sleep_for(5, keep_running=True))
    asleep = await fall_asleep(persistence, sleep_for(9))

    assert awake.wake_at == asleep.wake_at == START + 5 * MINUTE
    assert (awake.after, asleep.after) == (State.RUNNING, State.ASLEEP)
    assert (await database.row("i"))["sleep_until"] == START + 5 * MINUTE


async def test_saving_and_sleeping_share_their_ids(
    persistence: Persistence, database: Database
) -> None:
    """A save under the id of a sleep's checkpoint finds it, and wakes the instance."""
    await put_instance(database, State.RUNNING)
    await fall_asleep(persistence, sleep_for(5))

    entries = (await persistence.checkpoints.page("i")).entries
    read = await persistence.checkpoints.get("i", "c")

    assert [(entry.checkpoint_id, entry.wake_at) for entry in entries] == [
        ("c", START + 5 * MINUTE)
    ]
    assert read is not None
    assert read.state == b"state"


async def test_sleepers_never_mix(persistence: Persistence, database: Database) -> None:
    """Neither the deadlines of another's checkpoint of the same id, nor its row."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.ASLEEP, "other")
    await put_checkpoint(database, instance_id="other", wake_at=EARLIER)
    others = await database.row("other")
    theirs = await persistence.checkpoints.get("other", "c")

    slept = await fall_asleep(persistence, sleep_for(5))

    assert slept.wake_at == START + 5 * MINUTE
    assert await database.row("other") == others
    assert await persistence.checkpoints.get("other", "c") == theirs
