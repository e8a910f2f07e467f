"""A workflow gets the values sent to it, on both databases; benchmarks.signals has the times."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import Launcher, ended, launching
from tests.support.postgres import migrated_database

pytestmark = pytest.mark.slow

LONGEST = 10.0
"""Seconds: far more than a value takes on a busy machine, far less than a waiting poll's end."""


@pytest.fixture(params=["sqlite", "postgres"])
async def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Launcher]:
    if request.param == "sqlite":
        async with launching(tmp_path) as launcher:
            yield launcher
    else:
        with migrated_database() as url:
            async with launching(tmp_path, url) as launcher:
                yield launcher


async def delays(launcher: Launcher, workflow: str, names: list[str]) -> list[float]:
    """Send to one name after the other; how long each took to be had."""
    process = await launcher.start(workflow, len(names))
    await launcher.until_known()
    # Until it listens.
    await asyncio.sleep(0.5)
    async with launcher.sending() as send:
        for name in names:
            await send(name, str(time.time()).encode())
            # Until it listens for the next one.
            await asyncio.sleep(0.05)
    code, output, said = await ended(process)
    assert code == 0, said
    found = json.loads(output)
    assert min(found) >= 0
    return [float(one) for one in found]


async def test_a_sender_is_heard_while_a_poll_waits(launcher: Launcher) -> None:
    """Of promises awaited one after another, each value comes before its poll is over."""
    found = await delays(launcher, "hearing", [f"at-{number}" for number in range(20)])

    assert statistics.median(found) < LONGEST


async def test_promises_waited_for_at_once_are_heard_by_one_poll(launcher: Launcher) -> None:
    """One poll waits for all of them, and returns each value before its time is over."""
    found = await delays(launcher, "hearing_at_once", [f"{number}/sent" for number in range(24)])

    assert statistics.median(found) < LONGEST
