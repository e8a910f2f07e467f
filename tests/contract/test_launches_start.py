"""Starting instances, and claiming launches for them."""

from datetime import timedelta

import pytest
from tests.contract.launching import (
    SECOND,
    hold_lease,
    judge_as_usual,
    offer_all,
    put_image,
    start,
)
from tests.support.clock import START

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closing, InstanceStart
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import State


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
    """Not a moment earlier."""
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
