"""Environments: leases by the database's clock, and what a renewal tells one at rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import SECOND, hold_lease, launch, put_image, start
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.error import InvalidValue
from runtara_domain.model.launches import Offer
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import SignalType, State

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def test_a_lease_goes_by_the_databases_clock(persistence: Persistence) -> None:
    """Each step tells it; one that is over can be renewed, one that was given up can't."""
    before = datetime.now(UTC) - SECOND
    opened = await hold_lease(persistence, "e", ttl=timedelta(0), tenant_id=None)
    renewed = await persistence.environments.renew(
        "e", ttl=HOUR, clock_offset=timedelta(milliseconds=-60_000)
    )
    unknown = await persistence.environments.renew("unknown", ttl=HOUR)
    await persistence.environments.drain("e", draining=True)
    drained = await persistence.environments.renew("e", ttl=HOUR)
    await hold_lease(
        persistence,
        "w",
        kind=EnvironmentKind.WORKER,
        tenant_id=TENANT,
        workflows=("b", "a"),
    )
    [one, worker] = await persistence.environments.page()
    await persistence.environments.close("e")
    closed = await persistence.environments.renew("e", ttl=HOUR)
    reopened = await hold_lease(persistence, "e")

    assert before < opened.now == opened.until
    assert renewed is not None
    assert renewed.until - renewed.now == HOUR
    assert drained is not None
    assert (renewed.is_draining, drained.is_draining, reopened.is_draining) == (False, True, False)
    assert (unknown, closed) == (None, None)
    assert (one.environment_id, one.machine, one.capacity) == ("e", "here", 9)
    assert (one.lease_until, one.open_launches) == (drained.until, 0)
    assert (worker.workflows, worker.tenant_id) == (("a", "b"), TENANT)


async def test_a_worker_that_goes_on_with_a_good_lease_stays_drained(
    persistence: Persistence,
) -> None:
    """It may do so after a restart of its server, which its operator need not notice."""
    kept: list[bool] = []

    async def opened(ttl: timedelta = HOUR) -> None:
        lease = await hold_lease(
            persistence, "w", ttl=ttl, kind=EnvironmentKind.WORKER, tenant_id=TENANT
        )
        [row] = await persistence.environments.page()
        assert row.is_draining == lease.is_draining
        kept.append(lease.is_draining)

    async def drained() -> None:
        await persistence.environments.drain("w", draining=True)

    await opened()
    await drained()
    await opened(ttl=-SECOND)
    await opened()
    await drained()
    await persistence.environments.close("w")
    await opened()

    assert kept == [False, True, False, False]


async def test_one_that_leaves_claims_nothing_until_it_is_opened_again(
    persistence: Persistence,
) -> None:
    """It isn't drained by that, and what an operator has drained stays so."""
    worker: dict[str, Any] = {
        "kind": EnvironmentKind.WORKER,
        "tenant_id": TENANT,
        "workflows": ("flow",),
    }
    offer = Offer(environment_id="w", tenant_id=TENANT, workflows={"flow"})
    for is_drained in (False, True):
        await hold_lease(persistence, "w", **worker)
        await start(persistence, f"{is_drained}", workflow="flow", image_id=None)
        await persistence.environments.drain("w", draining=is_drained)
        await persistence.environments.leave("w")
        left = await persistence.launches.claim(offer, limit=9, at=START)
        opened = await hold_lease(persistence, "w", **worker)
        again = await persistence.launches.claim(offer, limit=9, at=START)

        assert left.assignments == ()
        assert opened.is_draining == is_drained
        assert len(again.assignments) == (0 if is_drained else 1)
    await persistence.environments.leave("unknown")


async def test_an_id_is_of_one_kind(persistence: Persistence) -> None:
    """A worker that is opened with an environment's id changes nothing of it, and the reverse."""
    await hold_lease(persistence, "e", tenant_id=None)
    await hold_lease(persistence, "w", kind=EnvironmentKind.WORKER, tenant_id=TENANT)
    before = await persistence.environments.page()
    with pytest.raises(InvalidValue, match="environment_id: takes the id of a worker, and 'e' is"):
        await hold_lease(persistence, "e", kind=EnvironmentKind.WORKER, tenant_id=TENANT)
    with pytest.raises(InvalidValue, match="environment_id: takes the id of a"):
        await hold_lease(persistence, "w")
    assert await persistence.environments.page() == before


async def test_environments_that_are_long_gone_are_forgotten(persistence: Persistence) -> None:
    """When another opens: those whose lease has been over for a day and that left no launch."""
    await launch(persistence)
    for name, gone in (("e", 2 * DAY), ("empty", 2 * DAY), ("late", DAY - HOUR)):
        await hold_lease(persistence, name, ttl=-gone)
    await hold_lease(persistence, "gone", ttl=-2 * DAY)
    before = await persistence.environments.page(gone_for=9 * DAY)
    await hold_lease(persistence, "other")
    after = await persistence.environments.page(gone_for=9 * DAY)

    assert [one.environment_id for one in before] == ["e", "gone", "late"]
    assert [one.environment_id for one in after] == ["e", "late", "other"]


async def test_a_drain_of_an_unknown_environment_is_false(persistence: Persistence) -> None:
    """Nothing is made of it."""
    assert not await persistence.environments.drain("unknown", draining=True)
    assert await persistence.environments.page() == []


async def test_a_renewal_gives_what_becomes_launchable_next(
    persistence: Persistence, database: Database
) -> None:
    """It leaves out instances that are launchable already or that no environment launches."""
    lease = await hold_lease(persistence, "e")
    now = lease.now.replace(microsecond=0)
    free: Row = {"image_id": "image", "wake_claim_by": None, "wake_claim_until": None}

    async def told() -> tuple[bool, datetime | None, datetime | None]:
        renewal = await persistence.environments.renew("e", ttl=HOUR)
        assert renewal is not None
        # It can run none of them: what a claim tells is of all instances, too.
        offer = Offer(environment_id="e")
        claims = await persistence.launches.claim(offer, limit=9, at=renewal.now)
        assert (claims.assignments, claims.next_at) == ((), renewal.next_launchable_at)
        return renewal.is_anything_launchable, renewal.next_launchable_at, renewal.next_stop_at

    await put_instance(database, State.ASLEEP, "nameless", sleep_until=now)
    nothing = await told()
    await put_instance(database, State.ASLEEP, "far", **{**free, "sleep_until": now + 9 * HOUR})
    far = await told()
    lost: Row = {"lost_run": 2, "last_activity_at": now + 8 * HOUR, "image_id": "image"}
    await put_instance(database, State.RUNNING, "lost", **lost)
    quiet = await told()
    await put_instance(database, State.PENDING, "delayed", launch_after=now + 7 * HOUR, **free)
    delayed = await told()
    await put_instance(database, State.PAUSED, "told", launch_after=now + 6 * HOUR, **free)
    await database.put_signal("told", SignalType.RESUME, created_at=now)
    resumed = await told()
    await put_instance(database, State.PENDING, "now", **{**free, "created_at": now - HOUR})
    await put_instance(database, State.RUNNING, "stopped", stop_at=now + 5 * HOUR)
    both = await told()

    by_worker: Row = {"workflow": "flow", "lost_run": 2, "last_activity_at": now}
    await put_instance(
        database, State.RUNNING, "of a worker", launch_after=now + 4 * HOUR, **by_worker
    )
    fenced = await told()

    assert fenced == (True, now + 4 * HOUR, now + 5 * HOUR)
    assert nothing == (False, None, None)
    assert far == (False, now + 9 * HOUR, None)
    assert quiet == (False, now + 8 * HOUR + 45 * SECOND, None)
    assert delayed == (False, now + 7 * HOUR, None)
    assert resumed == (False, now + 6 * HOUR, None)
    assert both == (True, now + 6 * HOUR, now + 5 * HOUR)


async def test_one_that_is_to_end_is_launchable_when_the_claim_on_its_sleep_is_over(
    persistence: Persistence, database: Database
) -> None:
    """The server that held the sleep may have died; the sleep itself is over much later."""
    lease = await hold_lease(persistence, "e")
    now = lease.now.replace(microsecond=0)
    held: Row = {"sleep_until": now + 9 * HOUR, "wake_claim_until": now + HOUR}
    await put_instance(database, State.ASLEEP, **held, image_id="image")
    await database.put_signal("i", SignalType.CANCEL, created_at=now - HOUR)

    renewal = await persistence.environments.renew("e", ttl=HOUR)
    claims = await persistence.launches.claim(Offer(environment_id="e"), limit=9, at=lease.now)

    assert renewal is not None
    assert not renewal.is_anything_launchable
    assert renewal.next_launchable_at == claims.next_at == now + HOUR


async def test_a_renewal_gives_when_one_that_runs_by_hand_falls_silent(
    persistence: Persistence, database: Database
) -> None:
    """The caller gives the bound. Instances without an image and ended ones don't count."""
    lease = await hold_lease(persistence, "e")
    now = lease.now.replace(microsecond=0)
    by_hand: Row = {"image_id": "image", "last_activity_at": now - 60 * SECOND}

    async def told(silence: timedelta) -> tuple[bool, datetime | None]:
        renewal = await persistence.environments.renew("e", ttl=HOUR, silence=silence)
        assert renewal is not None
        return renewal.is_anything_launchable, renewal.next_launchable_at

    await put_instance(database, State.RUNNING, "nameless", last_activity_at=now - HOUR)
    over: Row = {**by_hand, "run_epoch": 2, "ended_run": 2, "launch_after": now + HOUR}
    await put_instance(database, State.RUNNING, "over", **over)
    await put_instance(database, State.RUNNING, "by hand", **by_hand)

    assert await told(50 * SECOND) == (True, now + HOUR)
    assert await told(HOUR) == (False, now - 60 * SECOND + HOUR)


async def test_launches_of_an_environment_that_forgot_itself_are_lost(
    persistence: Persistence, database: Database
) -> None:
    """This holds also if its row is gone. A renewal never returns its own open launches as lost."""
    await launch(persistence)
    await hold_lease(persistence, "f")
    own = await persistence.environments.renew("e", ttl=timedelta(0))
    other = await persistence.environments.renew("f", ttl=HOUR)

    assert own is not None
    assert other is not None
    assert (set(own.lost), set(other.lost)) == (set(), {"e"})


async def test_a_renewal_gives_when_the_next_lease_is_over(persistence: Persistence) -> None:
    """Only other owners with open launches and valid leases count."""
    await launch(persistence)
    await hold_lease(persistence, "idle", ttl=SECOND)
    await hold_lease(persistence, "f")
    own = await persistence.environments.renew("e", ttl=2 * HOUR)
    other = await persistence.environments.renew("f", ttl=HOUR)
    await persistence.environments.close("e")
    after = await persistence.environments.renew("f", ttl=HOUR)

    assert own is not None
    assert other is not None
    assert after is not None
    assert (own.next_lease_over_at, other.next_lease_over_at) == (None, own.until)
    assert (after.next_lease_over_at, set(after.lost)) == (None, {"e"})


async def test_an_association_that_another_program_made_is_taken_over(
    persistence: Persistence, database: Database
) -> None:
    """This happens for open instances, when an environment opens."""
    await put_image(persistence, image_id="image")
    await put_instance(database, State.PAUSED)
    row: Row = {"instance_id": "i", "image_id": "image", "tenant_id": TENANT}
    await database.put("instance_images", row)

    await hold_lease(persistence, "e")

    assert (await database.row("i"))["image_id"] == "image"
