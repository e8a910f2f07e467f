"""What operators see of instances: all of one, lists, sums, and limits."""

from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import SECOND, claim, hold_lease, put_image, start
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model.instance_lists import InstanceOrder, InstancePlace, InstanceQuery
from runtara_domain.model.limits import Limit, LimitUse, Scope
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, SignalType, State

MINUTE = timedelta(minutes=1)


async def put_some(persistence: Persistence, database: Database) -> None:
    """Six instances, created a minute apart; the last three are finished, last first."""
    await put_image(persistence, "orders", image_id="image")
    rows: list[tuple[str, State, Row]] = [
        ("a", State.PENDING, {"image_id": "image", "queue": "q"}),
        ("b", State.PAUSED, {"error": "it changed", "workflow": "billing"}),
        ("c", State.ASLEEP, {"parent_id": "a", "tenant_id": "other"}),
        ("d", State.COMPLETED, {"finished_at": START + 3 * MINUTE}),
        ("e", State.FAILED, {"finished_at": START + 2 * MINUTE, "error": "50% broken_"}),
        ("f", State.CANCELLED, {"finished_at": START + 2 * MINUTE, "image_id": "image"}),
    ]
    for number, (name, state, columns) in enumerate(rows):
        created_at = START + number * MINUTE
        await put_instance(database, state, name, **{"created_at": created_at, **columns})


async def names(
    persistence: Persistence,
    which: InstanceQuery,
    order: InstanceOrder = InstanceOrder.CREATED_DESC,
    *,
    offset: int = 0,
    limit: int = 9,
    after: InstancePlace | None = None,
) -> str:
    page = await persistence.launches.instances(
        which, order=order, offset=offset, limit=limit, after=after
    )
    return "".join(one.summary.instance_id for one in page)


async def test_lists_are_narrowed_by_each_thing_that_is_asked(
    persistence: Persistence, database: Database
) -> None:
    """Counts obey the same filters."""
    await put_some(persistence, database)
    asked = {
        "fedcba": InstanceQuery(),
        "fedba": InstanceQuery(tenant_id=TENANT),
        "e": InstanceQuery(status=InstanceStatus.FAILED),
        "fa": InstanceQuery(image_id="image"),
        "af": InstanceQuery(image_name_prefix="ord"),
        "b": InstanceQuery(workflow="billing"),
        "fa ": InstanceQuery(workflow="orders"),
        "a": InstanceQuery(queue="q"),
        "c": InstanceQuery(parent_id="a"),
        "e ": InstanceQuery(error_contains="% broken_"),
        "b ": InstanceQuery(blocked=True),
        "fedca": InstanceQuery(blocked=False),
        "cb": InstanceQuery(created_since=START + MINUTE, created_until=START + 3 * MINUTE),
        "fe": InstanceQuery(finished_since=START + 2 * MINUTE, finished_until=START + 3 * MINUTE),
    }

    for expected, which in asked.items():
        found = await names(persistence, which)
        assert sorted(found) == sorted(expected.strip()), which
        assert await persistence.launches.count_instances(which) == len(found)
        for limit in (0, 2):
            counted = await persistence.launches.count_instances(which, limit=limit)
            assert counted == min(limit, len(found))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (InstanceOrder.CREATED_DESC, "fedcba"),
        (InstanceOrder.CREATED_ASC, "abcdef"),
        (InstanceOrder.FINISHED_DESC, "def"),
        (InstanceOrder.FINISHED_ASC, "efd"),
    ],
)
async def test_pages_follow_each_other_in_every_order(
    persistence: Persistence, database: Database, order: InstanceOrder, expected: str
) -> None:
    """Pages go by number, or continue after an instance. Ties are ordered by id."""
    await put_some(persistence, database)
    every = InstanceQuery()

    pages = [await names(persistence, every, order, offset=at, limit=2) for at in (0, 2, 4)]
    page = await persistence.launches.instances(every, order=order, limit=2)
    last = page[-1].summary
    moment = last.created_at if order.startswith("created") else last.finished_at
    assert moment is not None
    after = InstancePlace(moment, last.instance_id)

    assert "".join(pages) == expected
    assert await names(persistence, every, order, after=after) == expected[2:]


async def test_a_view_shows_the_default_limit_of_tenants(
    persistence: Persistence,
) -> None:
    """An environment's own bound counts as one that was put in."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await start(persistence, image_id=image.image_id)

    full = await persistence.launches.view("i", at=START, tenant_limit=0)
    free = await persistence.launches.view("i", at=START, tenant_limit=1)

    assert full is not None
    assert free is not None
    assert full.bounded_by == Limit(Scope.TENANT, TENANT, "", max_concurrent=0)
    assert free.bounded_by is None


async def test_a_view_shows_all_that_is_known(persistence: Persistence, database: Database) -> None:
    """Where it comes from, how it is launched, and what keeps it back."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    limit = Limit(Scope.QUEUE, TENANT, "q", max_concurrent=0)
    await persistence.limits.put(limit)
    await start(
        persistence,
        image_id=image.image_id,
        input=b"[1]",
        timeout=MINUTE,
        env={"MODE": "fast"},
        priority=3,
        queue="q",
        launch_after=START + MINUTE,
    )
    await database.put_signal("i", SignalType.PAUSE)

    view = await persistence.launches.view("i", at=START)
    unknown = await persistence.launches.view("unknown", at=START)
    [listed] = await persistence.launches.instances(InstanceQuery())

    assert unknown is None
    assert view is not None
    assert (view.instance.instance_id, view.instance.state) == ("i", State.PENDING)
    assert (view.input, view.image, view.env) == (b"[1]", image, {"MODE": "fast"})
    assert (view.timeout, view.priority, view.queue) == (MINUTE, 3, "q")
    assert (view.launches, view.crashes, view.next_launch_at) == (0, 0, START + MINUTE)
    assert (view.pending_signal, view.bounded_by, view.held_by) == (SignalType.PAUSE, limit, None)
    assert (view.attempt, view.max_attempts) == (1, 3)
    assert (listed.image_id, listed.image_name, listed.queue) == (image.image_id, "orders", "q")
    assert (listed.next_at, listed.error) == (START + MINUTE, None)


async def test_the_smaller_bound_on_time_counts(persistence: Persistence) -> None:
    """The start's or the image's; both by the launch's own beginning."""
    await hold_lease(persistence, "e")
    for name, seconds, timeout in (("own", 9, 5 * SECOND), ("image", 5, 9 * SECOND)):
        image = await put_image(persistence, name, timeout_s=seconds)
        await start(persistence, name, image_id=image.image_id, timeout=timeout)

    claimed = await claim(persistence)
    opened = await persistence.launches.open_launches("e", at=START)

    assert {one.timeout for one in claimed} == {5 * SECOND}
    assert {one.timeout_at for one in opened} == {START + 5 * SECOND}


async def test_metrics_sum_up_what_finished_in_each_period(
    persistence: Persistence, database: Database
) -> None:
    """They are for one tenant. Periods without any are left out."""
    for name, state, minute, took, memory in (
        ("a", State.COMPLETED, 0, 2, 10),
        ("b", State.FAILED, 59, 4, 30),
        ("c", State.CANCELLED, 130, 0, None),
        ("late", State.COMPLETED, 180, 1, 1),
    ):
        finished_at = START + minute * MINUTE
        started_at = finished_at - took * SECOND if took else None
        times: Row = {"finished_at": finished_at, "started_at": started_at}
        await put_instance(database, state, name, memory_peak_bytes=memory, **times)
    await put_instance(database, State.COMPLETED, "o", tenant_id="other", finished_at=START)

    first, third = await persistence.launches.metrics(
        TENANT, since=START, until=START + 180 * MINUTE, period=60 * MINUTE
    )

    assert (first.start, third.start) == (START, START + 120 * MINUTE)
    assert (first.completed, first.failed, first.cancelled) == (1, 1, 0)
    assert (first.average_duration, first.shortest, first.longest) == (
        3 * SECOND,
        2 * SECOND,
        4 * SECOND,
    )
    assert (first.average_memory_bytes, first.max_memory_bytes) == (20, 30)
    assert (third.cancelled, third.average_duration, third.max_memory_bytes) == (1, None, None)


async def test_limits_are_listed_with_what_they_bound(persistence: Persistence) -> None:
    """A queue with open instances stays."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    limits = [
        Limit(Scope.IMAGE, TENANT, "orders", 1),
        Limit(Scope.QUEUE, TENANT, "q", 5, 2, 7, MINUTE),
        Limit(Scope.TENANT, TENANT, "", 9),
    ]
    added = [await persistence.limits.put(limit) for limit in limits]
    again = await persistence.limits.put(limits[0])
    for name in ("a", "b"):
        await start(persistence, name, image_id=image.image_id, queue="q")
    await claim(persistence)

    uses = await persistence.limits.page(TENANT)
    in_use = await persistence.limits.remove(Scope.QUEUE, TENANT, "q")
    gone = [await persistence.limits.remove(Scope.IMAGE, TENANT, "orders") for _ in range(2)]

    assert (added, again) == ([True, True, True], False)
    assert uses == [
        LimitUse(limits[0], 1),
        LimitUse(limits[1], 1, 1, START),
        LimitUse(limits[2], 1),
    ]
    assert (in_use, gone) == (2, [0, None])
    assert await persistence.limits.page("other") == []
