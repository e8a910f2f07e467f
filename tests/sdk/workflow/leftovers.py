"""The runs that a failed test has left, and their end."""

import asyncio

import pytest

from runtara_sdk.workflow import Ended, Outcome
from runtara_sdk.workflow.engine.execution import under_way


async def end_runs(within: float) -> None:
    """End all runs of this process; fail the test if one has not ended after so many seconds."""
    try:
        async with asyncio.timeout(within):
            while left := under_way():
                for run in left:
                    run.end.finish(Ended(Outcome.SUSPENDED))
                await asyncio.sleep(0)
    except TimeoutError:
        names = ", ".join(sorted(run.instance_id for run in under_way()))
        # The tests that follow in this process have none of them to end.
        under_way().clear()
        pytest.fail(f"these runs were told to end, and did not in {within} s: {names}")
