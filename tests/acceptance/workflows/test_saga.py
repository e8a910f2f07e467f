"""A saga, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launcher import KILLED, launching

from runtara_persistence import InstanceStatus

TRIP = {"name": "Oslo", "items": ["flight", "hotel", "car"]}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_failed_booking_undoes_those_before_it_in_reverse(
    tmp_path: Path, seed: int
) -> None:
    """Each once, and the instance says why it failed."""
    async with launching(tmp_path, seed) as launcher:
        launcher.world.sold_out.add("car")
        ended = await launcher.until_ended("saga:saga", "trip-1", TRIP)

    assert (ended.status, "no car left" in (ended.error or "")) == (InstanceStatus.FAILED, True)
    assert [what["item"] for what in launcher.world.done("bookings")] == ["flight", "hotel"]
    assert launcher.world.done("undone") == ["hotel", "flight"]
    assert KILLED in launcher.codes


async def test_what_can_be_booked_is_booked_once(tmp_path: Path) -> None:
    """And nothing is undone."""
    async with launching(tmp_path, seed=3) as launcher:
        ended = await launcher.until_ended("saga:saga", "trip-1", TRIP)

    assert (ended.status, ended.output) == (InstanceStatus.COMPLETED, b"[1,2,3]")
    assert [what["item"] for what in launcher.world.done("bookings")] == TRIP["items"]
    assert launcher.world.done("undone") == []
    assert KILLED in launcher.codes
