from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Claim, Ending, Registration, Woken
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, Move, State

MILLISECOND = timedelta(milliseconds=1)
WHEN = MOVES[Move.WAKE].sources
ME = Caller("i")
MINE = Claim("me", WAKE)


async def put_asleep(
    database: Database, name: str = "i", *, by: str | None, until: datetime | None
) -> None:
    await put_instance(database, State.ASLEEP, name, wake_claim_by=by, wake_claim_until=until)


@pytest.mark.parametrize("until", [EARLIER, START, WAKE + timedelta(hours=1)])
async def test_only_claims_of_the_token_are_renewed(
    persistence: Persistence, database: Database, until: datetime
) -> None:
    """All of them, expired and not, as long as nobody took them; it is told which those are."""
    await put_asleep(database, "a", by="me", until=until)
    await put_asleep(database, "b", by="other", until=until)
    await put_asleep(database, "c", by=None, until=None)
    await put_asleep(database, "d", by="ME", until=until)
    await put_instance(database, State.PAUSED, "e", wake_claim_by="me", wake_claim_until=until)
    stored = await database.snapshot()

    renewed = await persistence.instances.renew_claims(MINE)

    for row in stored["instances"]:
        if row["instance_id"] in ("a", "e"):
            row["wake_claim_until"] = WAKE
    assert renewed == frozenset({"a", "e"})
    assert await database.snapshot() == stored


async def test_with_no_claims_there_is_nothing_to_renew(persistence: Persistence) -> None:
    """No error."""
    assert await persistence.instances.renew_claims(MINE) == frozenset()


async def test_only_claims_of_the_token_are_given_back(
    persistence: Persistence, database: Database
) -> None:
    """Of those that are named; the unknown are passed over. It stays asleep."""
    for name in ("a", "b"):
        await put_asleep(database, name, by="me", until=WAKE)
    await put_asleep(database, "c", by="other", until=WAKE)
    stored = await database.snapshot()

    await persistence.instances.release_claims("me", ["a", "c", "unknown", "a"], at=START)

    now = await database.snapshot()
    a = now["instances"][0]
    assert a["wake_claim_until"] == START
    unclaimed = {"wake_claim_by": None, "wake_claim_until": None}
    assert a | unclaimed == stored["instances"][0] | unclaimed
    assert now["instances"][1:] == stored["instances"][1:]


async def test_what_was_given_back_is_not_renewed(
    persistence: Persistence, database: Database
) -> None:
    """Anyone may take it from then on."""
    await put_asleep(database, by="me", until=WAKE)
    await persistence.instances.release_claims("me", ["i"], at=START)

    renewed = await persistence.instances.renew_claims(MINE)

    assert renewed == frozenset()
    woken = await persistence.instances.wake(ME, token="other", when=WHEN, at=START)
    assert woken.woken


async def test_nothing_named_is_nothing_given_back(
    persistence: Persistence, database: Database
) -> None:
    """No more than very many are too many."""
    await put_asleep(database, by="me", until=WAKE)
    stored = await database.snapshot()

    await persistence.instances.release_claims("me", [], at=START)
    await persistence.instances.release_claims("me", [f"u{n}" for n in range(5000)], at=START)

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
    ],
)
async def test_an_instance_is_woken_unless_another_token_claims_it(
    persistence: Persistence,
    database: Database,
    by: str | None,
    until: datetime | None,
    running: bool,
) -> None:
    """Whoever claims it is about to launch it; a claim that has expired doesn't count."""
    before = await put_instance(
        database, State.ASLEEP, wake_claim_by=by, wake_claim_until=until, checkpoint_id="c"
    )
    row = await database.row("i")

    woken = await persistence.instances.wake(ME, token="me", when=WHEN, at=START)

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

    woken = await persistence.instances.wake(ME, token="me", when=WHEN, at=START)

    assert woken == Woken(before, woken=state is State.ASLEEP)
    assert (await database.snapshot() != stored) is (state is State.ASLEEP)


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
async def test_a_superseded_run_wakes_nothing(
    persistence: Persistence, database: Database, run: int | None, admitted: bool
) -> None:
    """The sleep it held is over with it."""
    before = await put_instance(database, State.ASLEEP, wake_claim_by="me")
    stored = await database.snapshot()

    woken = await persistence.instances.wake(Caller("i", run), token="me", when=WHEN, at=START)

    assert woken == Woken(before, woken=admitted)
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_is_not_woken(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    woken = await persistence.instances.wake(ME, token="me", when=WHEN, at=START)

    assert woken == Woken(before=None, woken=False)
    assert await database.rows("instances") == []


async def test_a_claim_ends_with_what_it_was_for(
    persistence: Persistence, database: Database
) -> None:
    """Registered, woken or ended: there is nothing left to renew."""
    for name in ("registers", "wakes", "ends"):
        await put_asleep(database, name, by="me", until=WAKE)

    await persistence.instances.register(Registration("registers", "tenant"), when=OPEN, at=START)
    await persistence.instances.wake(Caller("wakes"), token="me", when=WHEN, at=START)
    await persistence.instances.finish(Caller("ends"), Ending(State.CANCELLED), when=OPEN, at=START)

    assert await persistence.instances.renew_claims(MINE) == frozenset()
