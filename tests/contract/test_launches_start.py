"""Starting instances, and claiming launches for them."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from tests.contract.launching import (
    SECOND,
    claim,
    hold_lease,
    judge_as_usual,
    offer_all,
    put_image,
    start,
)
from tests.contract.states import TENANT
from tests.support.clock import START

from runtara_domain.model import InstanceFilter, Registration
from runtara_domain.model.instance_lists import InstanceQuery
from runtara_domain.model.interventions import Stop
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closing, InstanceStart
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State


async def test_a_start_is_claimed_once_and_closed_once(persistence: Persistence) -> None:
    """A launch belongs to the environment that claimed it until its verdict."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    started = await start(persistence, "i", image_id=image.image_id)

    claimed = await persistence.launches.claim(offer_all("e"), limit=9, at=START)
    again = await persistence.launches.claim(offer_all("e"), limit=9, at=START)
    [assignment] = claimed.assignments
    end = Closing(assignment.launch_id, LaunchEnd(cause=Cause.KILLED, reports=True, signal=9))
    closed = await persistence.launches.close(end, judge_as_usual, at=START)
    closed_again = await persistence.launches.close(end, judge_as_usual, at=START)

    assert started.created
    assert (assignment.instance_id, assignment.number) == ("i", 1)
    assert again.assignments == ()
    assert (closed.is_closed, closed_again.is_closed) == (True, False)
    assert closed.after is State.PENDING
    assert closed.launch_after == START + SECOND


async def test_a_crashed_instance_is_launched_again_when_its_back_off_is_over(
    persistence: Persistence,
) -> None:
    """It is not launched a moment earlier."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await start(persistence, "i", image_id=image.image_id)
    offer = offer_all("e")
    [first] = (await persistence.launches.claim(offer, limit=9, at=START)).assignments
    end = Closing(first.launch_id, LaunchEnd(cause=Cause.KILLED, reports=True, signal=9))
    await persistence.launches.close(end, judge_as_usual, at=START)

    early = await persistence.launches.claim(
        offer, limit=9, at=START + SECOND - timedelta(milliseconds=1)
    )
    late = await persistence.launches.claim(offer, limit=9, at=START + SECOND)

    assert early.assignments == ()
    assert [(one.number, one.crashes) for one in late.assignments] == [(2, 1)]


@pytest.mark.parametrize("differs_in", ["tenant", "image", "input"])
async def test_another_start_of_the_same_id_changes_nothing(
    persistence: Persistence, differs_in: str
) -> None:
    """It tells in what it differs; the same start again succeeds."""
    image = await put_image(persistence)
    other = await put_image(persistence, "other")
    first = InstanceStart(
        instance_id="i", tenant_id="tenant", image_id=image.image_id, input=b"[1]"
    )
    asked = {
        "tenant": InstanceStart(
            instance_id="i", tenant_id="another", image_id=image.image_id, input=b"[1]"
        ),
        "image": InstanceStart(
            instance_id="i", tenant_id="tenant", image_id=other.image_id, input=b"[1]"
        ),
        "input": InstanceStart(
            instance_id="i", tenant_id="tenant", image_id=image.image_id, input=b"[2]"
        ),
    }
    await persistence.launches.start(first, at=START)

    same = await persistence.launches.start(first, at=START)
    different = await persistence.launches.start(asked[differs_in], at=START)

    assert (same.created, same.differs_in) == (False, ())
    assert (different.created, different.differs_in) == (False, (differs_in,))


async def test_an_instance_keeps_the_name_that_it_was_started_by(persistence: Persistence) -> None:
    """The same start again is the same, and lists find it, however its code calls itself."""
    await put_image(persistence, "quotes")
    await hold_lease(persistence, "e")
    await start(persistence, "i", workflow="quotes")
    [claimed] = await claim(persistence, at=START + 5 * SECOND)
    registration = Registration("i", TENANT, workflow="quote", launch_id=claimed.launch_id)

    registered = await persistence.instances.register(registration, when=OPEN, at=START)
    again = await start(persistence, "i", workflow="quotes")
    listed = await persistence.instances.page(InstanceFilter(workflow="quotes"))

    assert registered.run == 1
    assert (again.created, again.differs_in) == (False, ())
    assert [one.instance_id for one in listed] == ["i"]


async def test_one_open_instance_of_a_queue_has_a_deduplication_key(
    persistence: Persistence,
) -> None:
    """A start with the key answers that one, until it has ended; ids and queues come first."""
    mail = partial(start, persistence, queue="mail", dedupe_key="k")
    first = await mail("a")
    again = await mail("a")
    second = await mail("b", input=b"1")
    others = [
        await start(persistence, "c", queue="other", dedupe_key="k"),
        await start(persistence, "d", dedupe_key="k"),
        await start(persistence, "e", queue="mail", dedupe_key="l"),
        await mail("f", tenant_id="another"),
    ]
    unqueued = await start(persistence, "g", dedupe_key="k")
    await persistence.launches.stop(Stop("a", timedelta(0)), at=START)
    after = await mail("b", input=b"1")

    assert (first.created, first.duplicate_of) == (True, None)
    assert (again.created, again.duplicate_of, again.differs_in) == (False, None, ())
    assert (second.created, second.duplicate_of, second.claims) == (False, "a", None)
    assert all(other.created for other in others)
    assert (unqueued.created, unqueued.duplicate_of) == (False, "d")
    assert (after.created, after.duplicate_of) == (True, None)


async def test_of_racing_starts_with_one_key_one_creates(persistence: Persistence) -> None:
    """The others answer it."""
    names = [f"i{number}" for number in range(12)]
    started = await asyncio.gather(*(start(persistence, one, dedupe_key="k") for one in names))

    [created] = [name for name, one in zip(names, started, strict=True) if one.created]
    assert {one.duplicate_of for one in started if not one.created} == {created}
    assert len(await persistence.launches.instances(InstanceQuery())) == 1
