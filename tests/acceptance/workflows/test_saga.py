"""A saga, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launched import KILLED, launched

from runtara_domain.status import InstanceStatus

TRIP = {"name": "Oslo", "items": ["flight", "hotel", "car"]}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_failed_booking_undoes_those_before_it_in_reverse(
    tmp_path: Path, seed: int
) -> None:
    """Each once, and the instance says why it failed."""
    async with launched(tmp_path, seed) as examples:
        examples.world.sold_out.add("car")
        await examples.start("saga:saga", "trip-1", TRIP)
        ended = await examples.ended("trip-1")
        exits = await examples.exits("trip-1")

    assert (ended.status, "no car left" in (ended.error or "")) == (InstanceStatus.FAILED, True)
    assert [what["item"] for what in examples.world.done("bookings")] == ["flight", "hotel"]
    assert examples.world.done("undone") == ["hotel", "flight"]
    assert KILLED in exits


async def test_what_can_be_booked_is_booked_once(tmp_path: Path) -> None:
    """Nothing is undone."""
    async with launched(tmp_path, seed=3) as examples:
        await examples.start("saga:saga", "trip-1", TRIP)
        ended = await examples.ended("trip-1")
        exits = await examples.exits("trip-1")

    assert (ended.status, ended.output) == (InstanceStatus.COMPLETED, b"[1,2,3]")
    assert [what["item"] for what in examples.world.done("bookings")] == TRIP["items"]
    assert examples.world.done("undone") == []
    assert KILLED in exits
