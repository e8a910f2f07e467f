"""Claiming what is due: what is taken, in which order, for how long."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import EARLIER, TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import Claim, Claimed
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, SignalType, State

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
MINE = Claim("me", START + MINUTE)
SUSPENDED = sorted({State.ASLEEP, State.PAUSED})
RELAUNCHING = [SignalType.CANCEL, SignalType.RESUME]


async def put_due(
    database: Database,
    name: str = "i",
    *,
    since: datetime = EARLIER,
    by: str | None = None,
    until: datetime | None = None,
) -> None:
    """Insert an instance that slept until then, under this claim."""
    await put_instance(
        database,
        State.ASLEEP,
        name,
        sleep_until=since,
        wake_claim_by=by,
        wake_claim_until=until,
    )


async def claim(persistence: Persistence, limit: int = 100, mine: Claim = MINE) -> list[str]:
    claimed = await persistence.claims.claim_due(mine, limit=limit, at=START)
    return [one.instance_id for one in claimed]


async def test_a_claim_gives_what_the_launch_needs(
    persistence: Persistence, database: Database
) -> None:
    """Only the claim is written: it stays asleep or paused until it registers."""
    await put_instance(
        database, State.ASLEEP, sleep_until=EARLIER, checkpoint_id="c", wake_claim_until=None
    )
    await put_instance(database, State.PAUSED, "p", run=7, tenant_id="other")
    await database.put_signal("p", SignalType.RESUME)
    stored = await database.snapshot()

    claimed = await persistence.claims.claim_due(MINE, limit=100, at=START)

    for row in stored["instances"]:
        row |= {"wake_claim_by": "me", "wake_claim_until": MINE.until}
    assert claimed == [
        Claimed("i", TENANT, 2, "c", EARLIER),
        Claimed("p", "other", 7, None, None),
    ]
    assert await database.snapshot() == stored


@pytest.mark.parametrize("signal", [None, *sorted(SignalType)])
@pytest.mark.parametrize("acknowledged_at", [None, EARLIER], ids=["pending", "acknowledged"])
@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("state", sorted(State))
async def test_exactly_what_is_due_is_claimed(
    persistence: Persistence,
    database: Database,
    state: State,
    over: bool,
    acknowledged_at: datetime | None,
    signal: SignalType | None,
) -> None:
    """Asleep and over, or SUSPENDED with an unacknowledged cancel or resume; nothing else."""
    columns: Row = {"wake_claim_by": None, "wake_claim_until": None}
    if state is State.ASLEEP:
        columns["sleep_until"] = START if over else START + MILLISECOND
    await put_instance(database, state, **columns)
    if signal is not None:
        await database.put_signal("i", signal, acknowledged_at=acknowledged_at)

    claimed = await claim(persistence)

    told = signal in RELAUNCHING and acknowledged_at is None
    due = state in SUSPENDED and (told or (state is State.ASLEEP and over))
    assert claimed == (["i"] if due else [])


@pytest.mark.parametrize(
    ("until", "free"),
    [(None, True), (EARLIER, True), (START, True), (START + MILLISECOND, False)],
)
@pytest.mark.parametrize("by", ["me", "somebody", ""])
@pytest.mark.parametrize("signal", [None, SignalType.CANCEL])
async def test_what_is_under_a_claim_that_runs_is_passed_over(
    persistence: Persistence,
    database: Database,
    signal: SignalType | None,
    by: str,
    until: datetime | None,
    free: bool,
) -> None:
    """A claim of any owner, the caller's too; an expired claim keeps no caller away."""
    await put_due(database, by=by, until=until)
    if signal is not None:
        await database.put_signal("i", signal)
    row = await database.row("i")

    claimed = await claim(persistence)

    taken = {"wake_claim_by": "me", "wake_claim_until": MINE.until} if free else {}
    assert claimed == (["i"] if free else [])
    assert await database.row("i") == row | taken


async def test_what_is_claimed_is_not_claimed_again_until_that_ends(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """A claim not acted on expires."""
    await put_due(database)

    first = await claim(persistence)
    second = await claim(neighbour, mine=Claim("other", START + 2 * MINUTE))
    later = await neighbour.claims.claim_due(
        Claim("other", START + 2 * MINUTE), limit=9, at=MINE.until
    )

    assert (first, second) == (["i"], [])
    assert [one.instance_id for one in later] == ["i"]
    assert (await database.row("i"))["wake_claim_by"] == "other"


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_those_that_wait_longest_come_first(
    persistence: Persistence, database: Database, limit: int
) -> None:
    """The order is by the time to wake, or the signal's. At most the limit is claimed."""
    await put_due(database, "third", since=START - 2 * MINUTE)
    await put_due(database, "first", since=START - 4 * MINUTE)
    for name, waited in (("second", 3), ("fourth", 1)):
        await put_instance(database, State.PAUSED, name)
        sent_at = START - waited * MINUTE
        await database.put_signal(name, SignalType.RESUME, created_at=sent_at)

    claimed = await claim(persistence, limit)

    rows = await database.rows("instances")
    mine = {row["instance_id"] for row in rows if row["wake_claim_by"] == "me"}
    assert claimed == ["first", "second", "third", "fourth"][:limit]
    assert mine == set(claimed)


async def test_what_is_due_for_two_reasons_is_claimed_once_by_the_earlier(
    persistence: Persistence, database: Database
) -> None:
    """A time to wake that has not come yet is no reason."""
    minutes = {"a": (1, 5), "b": (4, 1), "d": (-9, 2)}
    for name, (slept, sent) in minutes.items():
        await put_due(database, name, since=START - slept * MINUTE)
        sent_at = START - sent * MINUTE
        await database.put_signal(name, SignalType.CANCEL, created_at=sent_at)
    await put_due(database, "c", since=START - 3 * MINUTE)

    assert await claim(persistence) == ["a", "b", "c", "d"]


async def test_one_that_cannot_be_launched_goes_to_the_back(
    persistence: Persistence, database: Database
) -> None:
    """It is counted from the end of its last claim, if that is later than it became due."""
    await put_due(database, "poison", since=START - 9 * MINUTE, until=START - MINUTE)
    await put_due(database, "waits", since=START - 2 * MINUTE)
    await put_due(database, "new", since=START)
    await put_due(database, "before", since=START - 3 * MINUTE, until=START - 4 * MINUTE)

    assert await claim(persistence) == ["before", "waits", "poison", "new"]


async def test_one_given_back_is_free_and_at_the_back(
    persistence: Persistence, database: Database
) -> None:
    """Its place is the same as if its claim had ended at the release."""
    await put_due(database, "poison", since=START - 9 * MINUTE)
    await put_due(database, "waits", since=START - MINUTE)
    first = await claim(persistence, 1)

    await persistence.claims.release("me", ["poison"], at=START)

    assert first == ["poison"]
    assert await claim(persistence) == ["waits", "poison"]


@pytest.mark.parametrize("signal", [None, SignalType.CANCEL])
@pytest.mark.parametrize("waits", [1, 2])
async def test_what_was_given_back_is_free_though_the_clock_is_set_back(
    persistence: Persistence, database: Database, signal: SignalType | None, waits: int
) -> None:
    """It is unclaimed; its position is still behind those that were due before."""
    await put_due(database, "poison", since=EARLIER, by="me", until=MINE.until)
    await put_due(database, "waits", since=START)
    if signal is not None:
        await database.put_signal("poison", signal, created_at=EARLIER)

    await persistence.claims.release("me", ["poison"], at=START + MINUTE / 2)

    assert await claim(persistence, waits) == ["waits", "poison"][:waits]
    assert await claim(persistence) == ["waits", "poison"][waits:]


async def test_one_resumed_that_was_given_back_is_free_though_the_clock_is_set_back(
    persistence: Persistence, database: Database
) -> None:
    """Paused, it has no time to wake."""
    await put_instance(database, State.PAUSED, wake_claim_by=None, wake_claim_until=START + MINUTE)
    await database.put_signal("i", SignalType.RESUME)

    assert await claim(persistence) == ["i"]


@pytest.mark.parametrize("state", sorted(OPEN - frozenset(SUSPENDED)))
async def test_a_time_to_wake_alone_makes_nothing_due(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Other programs may leave one in a row that is not SUSPENDED."""
    await put_instance(database, state, sleep_until=EARLIER)

    assert await claim(persistence) == []


async def test_nothing_due_is_nothing_claimed(persistence: Persistence, database: Database) -> None:
    """The database is empty, or the limit is 0."""
    none = await claim(persistence)
    await put_due(database)

    assert (none, await claim(persistence, 0)) == ([], [])
