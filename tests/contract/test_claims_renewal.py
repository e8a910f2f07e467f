"""Renewing claims of held sleeps, giving them back, and waking under them."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Claim, Ending, Registration, RunState, Woken
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, Move, State

MILLISECOND = timedelta(milliseconds=1)
WHEN = MOVES[Move.WAKE].sources
ME = Caller("i")
MINE = Claim("core/me", WAKE)
HOUR = timedelta(hours=1)
HALF = HOUR / 2


async def put_asleep(
    database: Database, name: str = "i", *, by: str | None, until: datetime | None
) -> RunState:
    return await put_instance(
        database, State.ASLEEP, name, wake_claim_by=by, wake_claim_until=until
    )


@pytest.mark.parametrize(
    ("by", "left", "is_taken"),
    [
        (None, None, True),
        (None, -HOUR, True),
        (None, MILLISECOND, True),
        ("core/me", -HOUR, True),
        ("core/me", 2 * HOUR, True),
        ("core/other", -HOUR, True),
        ("core/other", HALF, True),
        ("core/other", HALF + MILLISECOND, False),
        ("core", HALF, True),
        ("core", HALF + MILLISECOND, False),
        ("cor/me", MILLISECOND, False),
        ("CORE/me", MILLISECOND, False),
        ("core2", MILLISECOND, False),
        ("environment", MILLISECOND, False),
        ("environment", timedelta(0), True),
    ],
)
async def test_a_sleepers_instance_is_claimed_where_no_other_claim_runs(
    persistence: Persistence,
    database: Database,
    by: str | None,
    left: timedelta | None,
    is_taken: bool,
) -> None:
    """Another server's claim of which half is over was not renewed: that server may be gone."""
    before = await put_asleep(database, by=by, until=None if left is None else START + left)
    row = await database.row("i")

    run_states = await persistence.claims.renew(MINE, {ME: None}, at=START)

    claimed = {"wake_claim_by": "core/me", "wake_claim_until": WAKE}
    assert run_states == {"i": before}
    assert await database.row("i") == (row | claimed if is_taken else row)


@pytest.mark.parametrize(
    ("by", "is_hastened"), [("core/me", True), ("core/other", True), ("other", False)]
)
@pytest.mark.parametrize("left", [HALF, HOUR, 2 * HOUR, None])
async def test_it_is_due_no_later_than_its_sleepers_moment(
    persistence: Persistence,
    database: Database,
    by: str,
    is_hastened: bool,
    left: timedelta | None,
) -> None:
    """A server that knew of fewer sleeps may have put it to sleep for longer."""
    await put_asleep(database, by=by, until=WAKE)
    moment = None if left is None else START + left

    await persistence.claims.renew(MINE, {ME: moment}, at=START)

    expected = min(WAKE, moment or WAKE) if is_hastened else WAKE
    assert (await database.row("i"))["sleep_until"] == expected


async def test_only_what_is_asleep_and_of_the_sleepers_run_is_claimed(
    persistence: Persistence, database: Database
) -> None:
    """The renewal returns the states of all; an unknown one is missing."""
    run_states = {
        state.value: await put_instance(database, state, state.value)
        for state in State
        if state is not State.ASLEEP
    }
    run_states["superseded"] = await put_asleep(database, "superseded", by=None, until=None)
    stored = await database.snapshot()
    sleepers: dict[Caller, datetime | None] = {
        Caller(name, 1 if name == "superseded" else 2): START + HALF for name in run_states
    }

    told = await persistence.claims.renew(MINE, {**sleepers, Caller("unknown", 1): START}, at=START)

    assert told == run_states
    assert await database.snapshot() == stored


@pytest.mark.parametrize("run", [2, 3, None])
async def test_a_sleeper_of_the_newest_run_keeps_its_claim(
    persistence: Persistence, database: Database, run: int | None
) -> None:
    """So does one whose run is not given; a sleeper that is not named loses its claim in time."""
    await put_asleep(database, by="core/me", until=START + HALF)
    await put_asleep(database, "j", by="core/me", until=START + HALF)
    other = await database.row("j")

    await persistence.claims.renew(MINE, {Caller("i", run): None}, at=START)

    assert (await database.row("i"))["wake_claim_until"] == WAKE
    assert await database.row("j") == other


async def test_without_sleepers_there_is_nothing_to_claim(
    persistence: Persistence, database: Database
) -> None:
    """No error."""
    await put_asleep(database, by="core/me", until=WAKE)
    stored = await database.snapshot()

    assert await persistence.claims.renew(MINE, {}, at=START) == {}
    assert await database.snapshot() == stored


async def test_only_claims_of_the_token_are_given_back(
    persistence: Persistence, database: Database
) -> None:
    """Only named instances count, and unknown ones are skipped. The instance stays asleep."""
    for name in ("a", "b"):
        await put_asleep(database, name, by="me", until=WAKE)
    await put_asleep(database, "c", by="other", until=WAKE)
    stored = await database.snapshot()

    await persistence.claims.release("me", ["a", "c", "unknown", "a"], at=START)

    now = await database.snapshot()
    a = now["instances"][0]
    assert a["wake_claim_until"] == START
    unclaimed = {"wake_claim_by": None, "wake_claim_until": None}
    assert a | unclaimed == stored["instances"][0] | unclaimed
    assert now["instances"][1:] == stored["instances"][1:]


async def test_what_was_given_back_is_anybodys(
    persistence: Persistence, database: Database
) -> None:
    """Any server or environment can claim it from then on."""
    await put_asleep(database, by="me", until=WAKE)

    await persistence.claims.release("me", ["i"], at=START)

    woken = await persistence.claims.wake(ME, token="other", when=WHEN, at=START)
    assert woken.woken


async def test_nothing_named_is_nothing_given_back(
    persistence: Persistence, database: Database
) -> None:
    """No more than very many are too many."""
    await put_asleep(database, by="me", until=WAKE)
    stored = await database.snapshot()

    await persistence.claims.release("me", [], at=START)
    await persistence.claims.release("me", [f"u{n}" for n in range(5000)], at=START)

    assert await database.snapshot() == stored


@pytest.mark.parametrize(
    ("by", "until", "running"),
    [
        (None, None, False),
        ("me", WAKE, False),
        ("me", START, False),
        ("me", EARLIER, False),
        ("other", WAKE, True),
        ("other", START + MILLISECOND, True),
        ("other", START, False),
        ("other", EARLIER, False),
        ("ME", WAKE, True),
        (None, WAKE, False),
        ("me/too", WAKE, False),
        ("me2", WAKE, True),
    ],
)
async def test_an_instance_is_woken_unless_another_owner_claims_it(
    persistence: Persistence,
    database: Database,
    by: str | None,
    until: datetime | None,
    running: bool,
) -> None:
    """
    The owner of that claim is about to launch it. An expired claim doesn't count, nor one of the
    same owner: it holds a sleep too, and that one goes on. One that was given back has no owner.
    """
    before = await put_instance(
        database, State.ASLEEP, wake_claim_by=by, wake_claim_until=until, checkpoint_id="c"
    )
    row = await database.row("i")

    woken = await persistence.claims.wake(ME, token="me/1", when=WHEN, at=START)

    moved = {
        "status": "running",
        "sleep_until": None,
        "wake_claim_by": None,
        "wake_claim_until": None,
        "last_activity_at": START,
    }
    assert woken == Woken(before, woken=not running, claimed_until=until if running else None)
    assert await database.row("i") == (row if running else row | moved)
    assert await database.rows("instance_events") == []


@pytest.mark.parametrize("state", sorted(State))
async def test_only_what_is_asleep_is_woken(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The outcome tells how anything else stood: stirred by a branch of it, paused or ended."""
    before = await put_instance(database, state, wake_claim_by="me")
    stored = await database.snapshot()

    woken = await persistence.claims.wake(ME, token="me", when=WHEN, at=START)

    assert woken == Woken(before, woken=state is State.ASLEEP)
    assert (await database.snapshot() != stored) is (state is State.ASLEEP)


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
async def test_a_superseded_run_wakes_nothing(
    persistence: Persistence, database: Database, run: int | None, admitted: bool
) -> None:
    """The sleep it held is over with it."""
    before = await put_instance(database, State.ASLEEP, wake_claim_by="me")
    stored = await database.snapshot()

    woken = await persistence.claims.wake(Caller("i", run), token="me", when=WHEN, at=START)

    assert woken == Woken(before, woken=admitted)
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_is_not_woken(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    woken = await persistence.claims.wake(ME, token="me", when=WHEN, at=START)

    assert woken == Woken(before=None, woken=False)
    assert await database.rows("instances") == []


async def test_a_claim_ends_with_what_it_was_for(
    persistence: Persistence, database: Database
) -> None:
    """Registered, woken or ended: there is nothing left to claim."""
    for name in ("registers", "wakes", "ends"):
        await put_asleep(database, name, by="me", until=WAKE)

    await persistence.instances.register(Registration("registers", "tenant"), when=OPEN, at=START)
    await persistence.claims.wake(Caller("wakes"), token="me", when=WHEN, at=START)
    await persistence.instances.finish(Caller("ends"), Ending(State.CANCELLED), when=OPEN, at=START)

    rows = await database.rows("instances")
    assert [(row["wake_claim_by"], row["wake_claim_until"]) for row in rows] == [(None, None)] * 3
