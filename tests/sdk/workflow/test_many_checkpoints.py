"""The warning of an instance that grows for ever."""

import logging

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import uuid4, workflow

pytestmark = pytest.mark.slow

MANY = 10_000


@pytest.mark.parametrize("calls", [MANY - 2, MANY + 20])
async def test_ten_thousand_checkpoints_are_warned_of_once(
    calls: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names the instance and the remedy. Fewer cause no warning."""

    @workflow
    async def endless() -> None:
        for _ in range(calls):
            await uuid4()

    core = Core()
    with caplog.at_level(logging.WARNING, "runtara_sdk"):
        await life(endless, core)

    warned = [record.getMessage() for record in caplog.records]
    assert len(core.states) == calls + 1  # the first holds the workflow's name
    assert len(warned) == (calls > MANY)
    assert all("'i-1' has 10000 checkpoints" in line for line in warned)
    assert all("continue_as_new" in line for line in warned)
