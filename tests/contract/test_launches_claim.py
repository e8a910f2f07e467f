"""Claims of launches: what is launchable, which comes first, and what keeps an instance back."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import (
    KILLED,
    SECOND,
    claim,
    close,
    hold_lease,
    launch,
    offer_all,
    put_image,
    start,
)
from tests.contract.states import EARLIER, TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import Registration
from runtara_domain.model.interventions import Retry
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_domain.model.launches import Assignment, Offer
from runtara_domain.model.limits import Hold, Limit, Scope
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, SignalType, State

LATER = START + timedelta(milliseconds=1)
NOT_CLAIMED: Row = {"wake_claim_by": None, "wake_claim_until": None}

LAUNCHABLE: dict[str, tuple[State, Row, SignalType | None]] = {
    "pending": (State.PENDING, {}, None),
    "after a delay": (State.PENDING, {"launch_after": START}, None),
    "asleep and over": (State.ASLEEP, {**NOT_CLAIMED, "sleep_until": START}, None),
    "asleep under a claim that is over": (
        State.ASLEEP,
        {"sleep_until": EARLIER, "wake_claim_by": "core/1", "wake_claim_until": START},
        None,
    ),
    "asleep and cancelled": (State.ASLEEP, NOT_CLAIMED, SignalType.CANCEL),
    "paused and resumed": (State.PAUSED, {}, SignalType.RESUME),
    "its run is over": (State.RUNNING, {"ended_run": 2, "last_activity_at": START}, None),
    "its environment was lost": (
        State.RUNNING,
        {"lost_run": 2, "last_activity_at": START - 45 * SECOND},
        None,
    ),
    "silent": (State.RUNNING, {"last_activity_at": START - 120 * SECOND}, None),
}
LEFT_ALONE: dict[str, tuple[State, Row, SignalType | None]] = {
    "delayed": (State.PENDING, {"launch_after": LATER}, None),
    "asleep": (State.ASLEEP, {**NOT_CLAIMED, "sleep_until": LATER}, None),
    "held": (
        State.ASLEEP,
        {"sleep_until": EARLIER, "wake_claim_by": "core/1", "wake_claim_until": LATER},
        SignalType.CANCEL,
    ),
    "backing off though cancelled": (
        State.PAUSED,
        {"launch_after": LATER},
        SignalType.CANCEL,
    ),
    "paused": (State.PAUSED, {}, SignalType.PAUSE),
    "blocked": (State.PAUSED, {"error": "it changed", "blocked_signal_at": START}, None),
    "running in another run": (State.RUNNING, {"ended_run": 1, "last_activity_at": START}, None),
    "lost and not silent": (
        State.RUNNING,
        {"lost_run": 2, "last_activity_at": LATER - 45 * SECOND},
        None,
    ),
    "launched": (State.PENDING, {"launch_id": "open"}, None),
    "finished": (State.FAILED, {"ended_run": 2}, None),
}


async def put_all(
    database: Database, cases: dict[str, tuple[State, Row, SignalType | None]]
) -> None:
    for name, (state, columns, signal) in cases.items():
        await put_instance(database, state, name, **{"image_id": "image", **columns})
        if signal is not None:
            await database.put_signal(name, signal)


async def test_exactly_what_is_launchable_is_claimed(
    persistence: Persistence, database: Database
) -> None:
    """Only the condition on its rows counts, not how they came to be so."""
    await put_all(database, LAUNCHABLE | LEFT_ALONE)
    await put_instance(database, State.PENDING, "nothing to run")
    await put_image(persistence, image_id="image")
    await hold_lease(persistence, "e")

    claimed = await claim(persistence, limit=99)

    assert {one.instance_id for one in claimed} == LAUNCHABLE.keys()
    assert await claim(persistence, limit=99) == []
    for one in claimed:
        row = await database.row(one.instance_id)
        assert (row["launch_id"], row["ended_run"]) == (one.launch_id, row["run_epoch"])
        assert (row["launch_after"], row["lost_run"]) == (None, None)


async def test_what_a_lost_worker_ran_need_not_be_silent(
    persistence: Persistence, database: Database
) -> None:
    """Its run is fenced by its launch; the back-off is waited for."""
    await hold_lease(
        persistence, "w", kind=EnvironmentKind.WORKER, tenant_id=TENANT, workflows=("flow",)
    )
    lost: Row = {"workflow": "flow", "lost_run": 2, "last_activity_at": START}
    await put_instance(database, State.RUNNING, "lost", **lost)
    await put_instance(database, State.RUNNING, "backing off", **lost, launch_after=LATER)
    offer = Offer(environment_id="w", tenant_id=TENANT, workflows={"flow"})

    claims = await persistence.launches.claim(offer, limit=9, at=START)

    assert [one.instance_id for one in claims.assignments] == ["lost"]


@pytest.mark.parametrize(
    ("end", "is_suspect"),
    [
        (LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=True), True),
        (LaunchEnd(cause=Cause.RUNNER_FAILED, reports=True), True),
        (KILLED, True),
        (LaunchEnd(cause=Cause.STOPPED, reports=True), False),
        (LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=4), False),
    ],
)
async def test_a_claim_says_what_may_have_killed_its_process(
    persistence: Persistence, end: LaunchEnd, is_suspect: bool
) -> None:
    """This holds for the next claim by any environment."""
    first = await launch(persistence)
    await close(persistence, first.launch_id, end)
    await hold_lease(persistence, "f")

    [again] = await claim(persistence, "f", at=START + 10 * SECOND)

    assert (first.is_suspect, again.is_suspect) == (False, is_suspect)


async def test_one_that_has_suspended_is_suspect_no_more(persistence: Persistence) -> None:
    """It has got on in between."""
    first = await launch(persistence)
    await close(persistence, first.launch_id, LaunchEnd(cause=Cause.RUNNER_FAILED, reports=True))
    [second] = await claim(persistence, at=START + 10 * SECOND)
    slept = ProcessOutput(OutputStatus.SLEEPING, checkpoint_id="c", wake_after=SECOND)
    await close(
        persistence,
        second.launch_id,
        LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=0, output=slept),
    )
    await persistence.launches.resume("i", at=START)

    [third] = await claim(persistence, at=START + 20 * SECOND)

    assert (second.is_suspect, third.is_suspect) == (True, False)


async def test_one_that_an_operator_tries_again_is_not_suspect(persistence: Persistence) -> None:
    """What ended its launch before is forgotten, as its back-off is."""
    first = await launch(persistence)
    await close(persistence, first.launch_id, LaunchEnd(cause=Cause.RUNNER_FAILED, reports=True))
    await persistence.launches.retry(Retry("i"), at=START)

    [again] = await claim(persistence, at=START)

    assert again.last_cause is None


async def test_the_highest_priority_comes_first_then_the_longest_wait(
    persistence: Persistence, database: Database
) -> None:
    """Ties are settled by id, and no more are claimed than asked for."""
    await put_image(persistence, image_id="image")
    await hold_lease(persistence, "e")
    for name, priority, created_at in (
        ("d", 0, EARLIER),
        ("c", 0, EARLIER),
        ("a", 0, START),
        ("b", 5, START),
        ("e", -5, EARLIER - SECOND),
    ):
        await put_instance(
            database,
            State.PENDING,
            name,
            image_id="image",
            priority=priority,
            created_at=created_at,
        )

    first = await claim(persistence, limit=3)
    rest = await claim(persistence)

    assert [one.instance_id for one in first] == ["b", "c", "d"]
    assert [one.instance_id for one in rest] == ["a", "e"]


async def test_a_worker_gets_the_first_of_its_workflows(
    persistence: Persistence, database: Database
) -> None:
    """Over all queues and priorities; an instance that waits twice counts once, from the first."""
    await hold_lease(persistence, "w")
    offer = Offer(environment_id="w", workflows={"flow", "flows"}, tenant_id=TENANT)
    asleep: Row = {**NOT_CLAIMED, "sleep_until": START}
    for name, state, columns in (
        ("d", State.PENDING, {"created_at": EARLIER}),
        ("c", State.PENDING, {"created_at": EARLIER, "queue": "q"}),
        ("a", State.PENDING, {"created_at": START, "workflow": "flows"}),
        ("b", State.PENDING, {"created_at": START, "priority": 5, "queue": "q"}),
        ("e", State.PENDING, {"created_at": EARLIER - SECOND, "priority": -5}),
        ("resumed", State.ASLEEP, asleep),
        ("lost", State.RUNNING, {"lost_run": 2, "last_activity_at": EARLIER + SECOND}),
        ("of another", State.PENDING, {"workflow": "other", "priority": 9}),
        ("of an image", State.PENDING, {"image_id": "image", "priority": 9}),
        ("of a tenant", State.PENDING, {"tenant_id": "another", "priority": 9}),
    ):
        await put_instance(database, state, name, **{"workflow": "flow", **columns})
    await database.put_signal("resumed", SignalType.CANCEL, created_at=EARLIER - SECOND)
    await persistence.limits.hold(Hold(Scope.TENANT, TENANT), at=START)
    held = await persistence.launches.claim(offer, limit=4, at=START)
    await persistence.limits.release(Scope.TENANT, TENANT, "")

    first = await persistence.launches.claim(offer, limit=4, at=START)
    rest = await persistence.launches.claim(offer, limit=4, at=START)

    assert held.assignments == ()
    assert [one.instance_id for one in first.assignments] == ["b", "resumed", "c", "d"]
    assert [one.instance_id for one in rest.assignments] == ["lost", "a", "e"]
    assert (first.has_others, rest.has_others, first.next_at) == (True, True, None)
    launches = [(one["instance_id"], one["launch_id"]) for one in await database.rows("launches")]
    claimed = (*first.assignments, *rest.assignments)
    assert sorted(launches) == sorted((one.instance_id, one.launch_id) for one in claimed)


async def test_without_a_good_lease_nothing_is_claimed(persistence: Persistence) -> None:
    """That is: no lease, one that was given up, one that is over, or a drained environment."""
    image = await put_image(persistence)
    await start(persistence, image_id=image.image_id)
    unknown = await persistence.launches.claim(offer_all("e"), limit=9, at=START)
    lease = await hold_lease(persistence, "e", ttl=SECOND)
    over = await persistence.launches.claim(offer_all("e"), limit=9, at=lease.until)
    await persistence.environments.drain("e", draining=True)
    drained = await persistence.launches.claim(offer_all("e"), limit=9, at=START)
    await persistence.environments.close("e")
    given_up = await persistence.launches.claim(offer_all("e"), limit=9, at=START)

    for claims in (unknown, over, given_up):
        assert (claims.assignments, claims.has_lease) == ((), False)
    assert (drained.assignments, drained.has_lease, drained.is_draining) == ((), True, True)
    await hold_lease(persistence, "e")
    assert len(await claim(persistence)) == 1


async def test_only_what_the_offer_runs_is_claimed(persistence: Persistence) -> None:
    """An image that is deleted, has a problem or can't be run here leaves its instances waiting."""
    here = await put_image(persistence, "here")
    there = await put_image(persistence, "there")
    broken = await put_image(persistence, "broken")
    await hold_lease(persistence, "e")
    await persistence.images.set_problem(broken.image_id, "its target is missing")
    for image in (here, there, broken):
        await start(persistence, image.name, image_id=image.image_id)
    offer = replace(offer_all("e"), can_run=lambda image: image.name != "there")

    claims = await persistence.launches.claim(offer, limit=9, at=START)

    assert [one.instance_id for one in claims.assignments] == ["here"]


async def test_a_workflow_goes_to_a_worker_first_and_else_to_the_newest_image(
    persistence: Persistence, database: Database
) -> None:
    """The image waits five seconds for a worker; either way the choice is kept."""
    image = await put_image(persistence, "code", workflow="orders")
    await put_image(persistence, "other", workflow="others")
    await hold_lease(persistence, "e")
    await start(persistence, "by image", workflow="orders")

    early = await persistence.launches.claim(offer_all("e"), limit=9, at=START + 4 * SECOND)
    [by_image] = await claim(persistence, at=START + 5 * SECOND)
    await hold_lease(
        persistence,
        "w",
        kind=EnvironmentKind.WORKER,
        tenant_id=TENANT,
        workflows=("orders",),
    )
    await start(persistence, "by worker", workflow="orders")
    none = await claim(persistence, at=START + 60 * SECOND)
    worker = Offer(environment_id="w", workflows={"orders"}, tenant_id=TENANT)
    claims = await persistence.launches.claim(worker, limit=9, at=START)
    [by_worker] = claims.assignments
    await close(persistence, by_worker.launch_id, KILLED)
    await persistence.environments.close("w")
    kept = await claim(persistence, at=START + 60 * SECOND)

    assert (early.assignments, early.again_at) == ((), START + 5 * SECOND)
    assert (by_image.instance_id, by_image.image) == ("by image", image)
    assert (await database.row("by image"))["image_id"] == image.image_id
    assert (none, kept) == ([], [])
    assert (by_worker.instance_id, by_worker.image) == ("by worker", None)


@pytest.mark.parametrize(
    "hold",
    [
        Hold(Scope.TENANT, TENANT),
        Hold(Scope.IMAGE, TENANT, "orders"),
        Hold(Scope.IMAGE, "", "orders"),
        Hold(Scope.WORKFLOW, TENANT, "billing"),
    ],
    ids=lambda hold: f"{hold.scope}-{hold.tenant_id}",
)
async def test_nothing_that_is_held_is_launched(persistence: Persistence, hold: Hold) -> None:
    """It is launched after the hold is released. The view names the hold."""
    image = await put_image(persistence, workflow="billing")
    await hold_lease(persistence, "e")
    await start(persistence, image_id=image.image_id)
    await persistence.limits.hold(replace(hold, reason="upgrade"), at=START)

    held = await claim(persistence)
    view = await persistence.launches.view("i", at=START)
    released = await persistence.limits.release(hold.scope, hold.tenant_id, hold.name)

    assert (held, released) == ([], True)
    assert view is not None
    assert view.held_by is not None
    assert view.held_by.reason == "upgrade"
    assert len(await claim(persistence)) == 1


@pytest.mark.parametrize(
    "limit",
    [
        Limit(Scope.TENANT, TENANT, max_concurrent=10),
        Limit(Scope.IMAGE, TENANT, "orders", max_concurrent=10),
        Limit(Scope.QUEUE, TENANT, "q", max_concurrent=10),
        Limit(Scope.QUEUE, TENANT, "q", rate=10, rate_period=timedelta(minutes=1)),
        None,
    ],
    ids=["tenant", "image", "queue", "rate", "default"],
)
async def test_environments_together_never_exceed_a_limit(
    persistence: Persistence, neighbour: Persistence, limit: Limit | None
) -> None:
    """With 9 of 10 slots taken, one of two environments that claim at once gets the last."""
    image = await put_image(persistence)
    if limit is not None:
        await persistence.limits.put(limit)
    for number in range(15):
        await start(persistence, f"i{number:02}", image_id=image.image_id, queue="q")
    for name in ("e", "f", "g"):
        await hold_lease(persistence, name)
    bound = None if limit is not None else 10

    async def claim_all(one: Persistence, name: str, most: int) -> list[Assignment]:
        offer = replace(offer_all(name), tenant_limit=bound)
        return list((await one.launches.claim(offer, limit=most, at=START)).assignments)

    first = await claim_all(persistence, "e", 9)
    racing = await asyncio.gather(claim_all(persistence, "f", 5), claim_all(neighbour, "g", 5))
    await close(persistence, first[0].launch_id, KILLED)
    after = await claim_all(persistence, "e", 9)

    assert len(first) == 9
    assert sorted(len(claimed) for claimed in racing) == [0, 1]
    is_rate = limit is not None and limit.rate is not None
    assert len(after) == (0 if is_rate else 1)


async def test_a_limit_by_environment_bounds_each_of_them_alone(
    persistence: Persistence, neighbour: Persistence
) -> None:
    """Each takes as many of the queue as one may, also when they claim at once; all under its own
    limit; a verdict frees the slot of its environment.
    """
    image = await put_image(persistence)
    limit = Limit(Scope.QUEUE, TENANT, "q", max_concurrent=5, per_environment=2)
    await persistence.limits.put(limit)
    for number in range(9):
        await start(persistence, f"i{number}", image_id=image.image_id, queue="q")
    await start(persistence, "unbounded", image_id=image.image_id)
    for name in ("e", "f", "g"):
        await hold_lease(persistence, name)

    first, other = await asyncio.gather(claim(persistence, "e"), claim(neighbour, "f"))
    third = await claim(persistence, "g")
    again = await claim(persistence, "e")
    await close(persistence, third[0].launch_id, KILLED)
    freed_elsewhere = await claim(persistence, "e")
    [bounded, *_] = [one for one in first if one.queue == "q"]
    await close(persistence, bounded.launch_id, KILLED)
    freed_here = await claim(persistence, "e", limit=1)

    counted = [sum(one.queue == "q" for one in each) for each in (first, other, third)]
    assert counted == [2, 2, 1]
    assert sum(len(each) for each in (first, other, third)) == 6
    assert (again, freed_elsewhere) == ([], [])
    assert [one.queue for one in freed_here] == ["q"]


async def test_a_claim_says_whether_a_limit_held_something_back(persistence: Persistence) -> None:
    """An end of a launch may then let another claim give more."""
    await persistence.limits.put(Limit(Scope.QUEUE, TENANT, "q", max_concurrent=1))
    await hold_lease(persistence, "w")
    offer = Offer(environment_id="w", workflows=frozenset({"orders"}), tenant_id=TENANT)
    nothing = await persistence.launches.claim(offer, limit=9, at=START)
    await start(persistence, "free")
    unbounded = await persistence.launches.claim(offer, limit=9, at=START)
    await start(persistence, "first", queue="q")
    await start(persistence, "second", queue="q")
    full = await persistence.launches.claim(offer, limit=9, at=START)
    held = await persistence.launches.claim(offer, limit=9, at=START)

    assert [one.instance_id for one in full.assignments] == ["first"]
    assert [len(each.assignments) for each in (nothing, unbounded, held)] == [0, 1, 0]
    said = [each.is_held_back for each in (nothing, unbounded, full, held)]
    assert said == [False, False, True, True]


@pytest.mark.parametrize("limit", [None, Limit(Scope.TENANT, "another", max_concurrent=1)])
async def test_a_workers_claim_says_whether_others_may_launch_something(
    persistence: Persistence, limit: Limit | None
) -> None:
    """An instance with an image, or of a workflow that this worker does not serve."""
    image = await put_image(persistence, "code")
    await hold_lease(persistence, "w")
    if limit is not None:
        await persistence.limits.put(limit)
    offer = Offer(environment_id="w", workflows=frozenset({"orders"}), tenant_id=TENANT)
    await start(persistence, "own")
    await start(persistence, "later", image_id=image.image_id, launch_after=LATER)
    own = await persistence.launches.claim(offer, limit=9, at=START)
    await start(persistence, "other", workflow="another")
    other = await persistence.launches.claim(offer, limit=9, at=START)
    late = await persistence.launches.claim(offer, limit=9, at=LATER)
    of_image = await persistence.launches.claim(offer_all("w"), limit=1, at=LATER)

    assert [one.instance_id for one in own.assignments] == ["own"]
    assert (other.assignments, late.assignments) == ((), ())
    assert [one.has_others for one in (own, other, late, of_image)] == [False, True, True, False]


@pytest.mark.parametrize("runs_images", [True, False])
async def test_of_racing_environments_each_instance_goes_to_one(
    persistence: Persistence, neighbour: Persistence, database: Database, runs_images: bool
) -> None:
    """No instance is left over, though both began with the same one."""
    image = await put_image(persistence)
    names = [f"i{number:02}" for number in range(24)]
    for name in names:
        what = {"image_id": image.image_id} if runs_images else {"workflow": "orders"}
        await start(persistence, name, **what)  # type: ignore[arg-type]  # Fields by name.
    for name in ("e", "f"):
        await hold_lease(persistence, name)

    async def claimed(through: Persistence, environment_id: str) -> list[str]:
        """Claim as a launcher does: again where another step had chosen rows locked."""
        offer = offer_all(environment_id)
        if not runs_images:
            offer = replace(offer, workflows={"orders"}, tenant_id=TENANT)
        got: list[str] = []
        while True:
            claims = await through.launches.claim(offer, limit=4, at=START)
            got += [one.instance_id for one in claims.assignments]
            if claims.again_at is None:
                return got

    all_claimed = await asyncio.gather(
        *(claimed(persistence, "e") for _ in range(3)),
        *(claimed(neighbour, "f") for _ in range(3)),
    )

    assert sorted(name for got in all_claimed for name in got) == names
    rows = await database.rows("launches")
    assert sorted(row["instance_id"] for row in rows) == names


async def test_a_start_with_an_offer_is_claimed_in_the_same_step(persistence: Persistence) -> None:
    """If the environment has a free slot; what waits with a higher priority goes first."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e", capacity=2)
    offer = offer_all("e")
    await start(persistence, "waits", image_id=image.image_id, priority=1)

    started = [
        await start(persistence, name, offer=offer, image_id=image.image_id)
        for name in ("first", "second", "third")
    ]

    claims = [one.claims.assignments if one.claims else () for one in started]
    assert [[each.instance_id for each in one] for one in claims] == [["waits"], ["first"], []]


async def test_a_registration_is_fenced_by_the_open_launch(
    persistence: Persistence, database: Database
) -> None:
    """Its process registers by its id; one without takes the instance, and closes the launch."""
    mine = await launch(persistence)
    stranger = Registration("i", TENANT, launch_id="another")
    refused = await persistence.instances.register(stranger, when=OPEN, at=START)
    own = Registration("i", TENANT, launch_id=mine.launch_id)
    registered = await persistence.instances.register(own, when=OPEN, at=START)
    [seen] = await persistence.launches.open_launches("e", at=START)

    by_hand = Registration("i", TENANT)
    taken = await persistence.instances.register(by_hand, when=OPEN, at=START)
    late = await close(persistence, mine.launch_id, KILLED)

    assert (refused.launch_is_open, refused.run) == (False, 0)
    assert (registered.launch_is_open, seen.run) == (True, 1)
    assert (taken.run, late.is_closed) == (2, False)
    assert await persistence.launches.open_launches("e", at=START) == []
    [row] = await database.rows("launches")
    assert (row["cause"], row["run"], row["verdict"]) == ("superseded", 1, None)
    assert (await database.row("i"))["launch_id"] is None
    assert await claim(persistence) == []


async def test_the_first_to_register_is_the_process_of_a_launch_that_can_not_say_so(
    persistence: Persistence,
) -> None:
    """A program of another language names no launch; the next one takes its place."""
    image = await put_image(persistence, runner_type="native")
    await hold_lease(persistence, "e")
    await start(persistence, image_id=image.image_id)
    await claim(persistence)
    unnamed = Registration("i", TENANT)

    await persistence.instances.register(unnamed, when=OPEN, at=START)
    [seen] = await persistence.launches.open_launches("e", at=START)
    await persistence.instances.register(unnamed, when=OPEN, at=START)

    assert seen.run == 1
    assert await persistence.launches.open_launches("e", at=START) == []
