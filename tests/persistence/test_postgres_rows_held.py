"""A row that another program holds: what goes through many instances waits for none of them."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import pytest
from tests.contract.launching import hold_lease, offer_all, put_image, start
from tests.contract.states import TENANT
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Claim
from runtara_domain.model.launches import Offer
from runtara_domain.status import ANY
from runtara_persistence.postgres import saving
from runtara_persistence.postgres.persistence import PostgresPersistence

ASLEEP = """
INSERT INTO instances (
    instance_id, tenant_id, status, run_epoch, created_at, sleep_until, wake_claim_by,
    wake_claim_until
)
SELECT name, 't', 'suspended', 1, $2, $2::timestamptz + interval '1 hour', 'core/me', $2
FROM unnest($1::text[]) AS name
"""
DUE = {
    "slept": "UPDATE instances SET sleep_until = created_at",
    "told": """
        UPDATE instances SET sleep_until = NULL;
        INSERT INTO pending_signals (instance_id, signal_type, created_at)
        SELECT instance_id, 'resume', created_at FROM instances
    """,
    "given back before the clock was set back": """
        UPDATE instances
        SET sleep_until = created_at,
            wake_claim_by = NULL,
            wake_claim_until = created_at + interval '1 minute'
    """,
}
NAMES = ["a", "held", "z"]
OTHERS = {"a", "z"}
UNTIL = START + timedelta(seconds=30)
WORKER = Offer(environment_id="e", workflows={"orders"}, tenant_id=TENANT)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    """Give one that fails when it has waited for a second."""
    async with PostgresPersistence(url, patience=1, step_timeout=1) as persistence:
        yield persistence


@pytest.fixture
def made_so() -> str:
    """SQL that makes the instances what a test needs, if that is more than asleep."""
    return "SELECT"


@pytest.fixture
async def looker_on(url: str, made_so: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    await connection.execute(ASLEEP, NAMES, START)
    await connection.execute(made_so)
    yield connection
    await connection.close()


@pytest.fixture
async def holder(
    url: str, looker_on: "asyncpg.Connection[asyncpg.Record]"
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Give an operator's connection that has changed a row, and not committed."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    await connection.execute("UPDATE instances SET error = '' WHERE instance_id = 'held'")
    yield connection
    await connection.close()


async def those(looker_on: "asyncpg.Connection[asyncpg.Record]", condition: str) -> set[str]:
    found = await looker_on.fetch(f"SELECT instance_id FROM instances WHERE {condition}")
    return {row["instance_id"] for row in found}


@pytest.mark.parametrize("made_so", DUE.values(), ids=DUE)
async def test_what_is_due_of_the_others_is_claimed(
    persistence: PostgresPersistence, holder: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The one that is held is, too, when it is free."""
    claim = Claim("environment", UNTIL)

    first = await persistence.claims.claim_due(claim, limit=9, at=START)
    await holder.execute("ROLLBACK")
    later = await persistence.claims.claim_due(claim, limit=9, at=START)

    assert {one.instance_id for one in first} == OTHERS
    assert [one.instance_id for one in later] == ["held"]


async def test_claims_of_the_others_are_renewed(
    persistence: PostgresPersistence,
    looker_on: "asyncpg.Connection[asyncpg.Record]",
    holder: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The one that is held is missing from the answer, until it is free."""
    sleepers = {Caller(name): None for name in NAMES}
    claim = Claim("core/me", UNTIL)

    told = await persistence.claims.renew(claim, sleepers, at=START)
    renewed = await those(looker_on, "wake_claim_until > created_at")
    await holder.execute("ROLLBACK")
    told_later = await persistence.claims.renew(claim, sleepers, at=START)

    assert (set(told), renewed) == (OTHERS, OTHERS)
    assert set(told_later) == set(NAMES)
    assert await those(looker_on, "wake_claim_until > created_at") == set(NAMES)


async def test_claims_of_the_others_are_given_back(
    persistence: PostgresPersistence,
    looker_on: "asyncpg.Connection[asyncpg.Record]",
    holder: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The outcome names the claim that was not, but none of another owner, and no unclaimed row."""
    names = [*NAMES, "unknown"]

    others = await persistence.claims.release("core/other", names, at=START)
    left = await persistence.claims.release("core/me", names, at=START)
    freed = await those(looker_on, "wake_claim_by IS NULL")
    await holder.execute("ROLLBACK")
    left_later = await persistence.claims.release("core/me", names, at=START)

    assert (others, left, left_later) == (set(), {"held"}, set())
    assert freed == OTHERS
    assert await those(looker_on, "wake_claim_by IS NULL") == set(NAMES)


async def test_life_of_the_others_is_noted(
    persistence: PostgresPersistence,
    looker_on: "asyncpg.Connection[asyncpg.Record]",
    holder: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The outcome names the caller that was not, but none for which nothing was to be noted."""
    callers = [Caller(name) for name in [*NAMES, "unknown"]]

    superseded = await persistence.instances.mark_active([Caller("held", 0)], at=START)
    left = await persistence.instances.mark_active(callers, at=START)
    noted = await those(looker_on, "last_activity_at = created_at")
    await holder.execute("ROLLBACK")
    left_later = await persistence.instances.mark_active(callers, at=START)

    assert (superseded, left, left_later) == (set(), {"held"}, set())
    assert noted == OTHERS
    assert await those(looker_on, "last_activity_at = created_at") == set(NAMES)


@pytest.mark.parametrize("runs_images", [True, False])
async def test_a_locked_launch_is_claimed_as_soon_as_it_is_free(
    url: str, persistence: PostgresPersistence, runs_images: bool
) -> None:
    """The others are claimed meanwhile, and the claim says when to look again."""
    await hold_lease(persistence, "e")
    offer = offer_all("e") if runs_images else WORKER
    image = await put_image(persistence)
    for name in NAMES:
        what = {"image_id": image.image_id} if runs_images else {"workflow": "orders"}
        await start(persistence, name, **what)  # type: ignore[arg-type]  # Fields by name.
    holder = await asyncpg.connect(url)
    await holder.execute("BEGIN")
    await holder.execute("UPDATE instances SET error = '' WHERE instance_id = 'held'")

    first = await persistence.launches.claim(offer, limit=9, at=START)
    again = await persistence.launches.claim(offer, limit=9, at=START)
    await holder.close()
    assert first.again_at is not None
    second = await persistence.launches.claim(offer, limit=9, at=first.again_at)

    assert {one.instance_id for one in first.assignments} == OTHERS
    assert START < first.again_at < START + timedelta(seconds=1)
    assert (again.assignments, again.again_at) == ((), first.again_at)
    assert [one.instance_id for one in second.assignments] == ["held"]
    assert second.again_at is None


@pytest.mark.parametrize("names", [["held"], ["z", "held"]], ids=["one", "group"])
@pytest.mark.usefixtures("holder")
async def test_a_group_of_saves_waits_for_no_row(
    persistence: PostgresPersistence, names: list[str]
) -> None:
    """The save of the row that is held is left to a statement of its own."""
    saves = [
        saving.Save(Caller(name, run=1), CheckpointWrite("c", b""), ANY, START) for name in names
    ]
    outcomes = await saving.save_together(persistence.checkpoints._database, saves)

    assert [name for name, one in zip(names, outcomes, strict=True) if one is None] == ["held"]
