"""Approval with a deadline, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launcher import KILLED, SUSPENDED, beside, launching

from runtara_persistence import InstanceStatus

INVOICE = {"number": "R-17", "amount": 1200}


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_approved_is_paid_once(tmp_path: Path, seed: int) -> None:
    """However often it died between the request and the receipt."""
    async with launching(tmp_path, seed) as launcher:
        invoice = INVOICE | {"deadline": "1h"}
        async with beside(launcher.until_ended("approval:approval", "r-17", invoice)) as running:
            await launcher.until_known("r-17")
            # Before the workflow waits for it: the value is kept.
            await launcher.send("r-17", "decision", {"approved": True, "by": "Ann"})
            ended = await running

    assert (ended.status, ended.output) == (InstanceStatus.COMPLETED, b'"R-17: paid, receipt 2"')
    assert launcher.world.books == [
        ("requests", {"invoice": "R-17"}),
        ("payments", {"invoice": "R-17", "approved_by": "Ann"}),
    ]
    assert KILLED in launcher.codes


async def test_without_an_approval_in_time_nothing_is_paid(tmp_path: Path) -> None:
    """The deadline is counted from the first time, not from the last relaunch; no process waits."""
    # Once, and before the deadline is set: more of it would pass in the lives of a slow machine.
    async with launching(tmp_path, seed=3, kills=1) as launcher:
        invoice = INVOICE | {"deadline": "3s"}
        ended = await launcher.until_ended("approval:approval", "r-17", invoice)

    assert ended.output == b'"R-17: no decision came in time"'
    assert launcher.world.books == [("requests", {"invoice": "R-17"})]
    assert {KILLED, SUSPENDED} <= set(launcher.codes)
