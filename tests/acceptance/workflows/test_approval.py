"""Approval with a deadline, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launched import KILLED, SUSPENDED, launched

from runtara_domain.status import InstanceStatus

INVOICE = {"number": "R-17", "amount": 1200}


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_approved_is_paid_once(tmp_path: Path, seed: int) -> None:
    """The workflow may die any number of times between the request and the receipt."""
    async with launched(tmp_path, seed) as examples:
        await examples.start("approval:approval", "r-17", INVOICE | {"deadline": "1h"})
        # Before the workflow waits for it: the value is kept.
        await examples.send("r-17", "decision", {"approved": True, "by": "Ann"})
        ended = await examples.ended("r-17")
        exits = await examples.exits("r-17")

    assert (ended.status, ended.output) == (InstanceStatus.COMPLETED, b'"R-17: paid, receipt 2"')
    assert examples.world.books == [
        ("requests", {"invoice": "R-17"}),
        ("payments", {"invoice": "R-17", "approved_by": "Ann"}),
    ]
    assert KILLED in exits


async def test_without_an_approval_in_time_nothing_is_paid(tmp_path: Path) -> None:
    """The deadline is counted from the first time, not from the last relaunch; no process waits."""
    # Once, and before the deadline is set: more of it would pass in the lives of a slow machine.
    async with launched(tmp_path, seed=3, kills=1) as examples:
        await examples.start("approval:approval", "r-17", INVOICE | {"deadline": "3s"})
        ended = await examples.ended("r-17")
        exits = await examples.exits("r-17")

    assert ended.output == b'"R-17: no decision came in time"'
    assert examples.world.books == [("requests", {"invoice": "R-17"})]
    assert exits == [KILLED, SUSPENDED, 0]
