"""A loop that is blocked, and a server that goes away: processes against the installed server."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import Launcher, ended, launching
from tests.support.server_process import running

from runtara_persistence import InstanceStatus
from runtara_sdk.workflow.errors import Unavailable
from runtara_sdk.workflow.patience import Patience

pytestmark = pytest.mark.slow

INFRASTRUCTURE = 4


async def test_a_blocked_loop_goes_on_showing_life(tmp_path: Path) -> None:
    """For seconds, from a thread with a connection of its own."""
    async with launching(tmp_path) as launcher:
        process = await launcher.start("blocked_for", 6, RUNTARA_HEARTBEAT_INTERVAL_MS="300")
        await launcher.noted(1)
        # What it did before it was blocked is written within a second.
        first = await launcher.shown_life(datetime.now(UTC) + timedelta(seconds=1))
        second = await launcher.shown_life(first)
        notes = await launcher.noted(1)
        code, output, said = await ended(process)

    assert notes == ["blocked"], "it was free again before it showed life"
    assert second > first
    assert (code, output) == (0, "10\n"), said


async def test_a_server_away_for_longer_than_the_budget_is_no_failure(tmp_path: Path) -> None:
    """The process ends with 4 and says what to do; run again, the instance goes on."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        short = {"RUNTARA_REQUEST_TIMEOUT_MS": "1000"}
        process = await launcher.start("impatient", 3, PACE="1", **short)
        await launcher.noted(2)
        await server.kill()
        code, output, said = await ended(process)
        left = await launcher.instance()
        await server.start()
        again = await launcher.run("impatient")

    assert (code, output) == (INFRASTRUCTURE, "")
    assert "Infrastructure: the core could not be reached for 0:00:01" in said
    assert "run the instance again when it is back" in said
    assert left.status is InstanceStatus.RUNNING
    assert again[:2] == (0, "[0,10,20]\n"), again
    # The second was at work when the server went: its result could not be saved.
    assert await launcher.noted(4) == ["ten 0", "ten 1", "ten 1", "ten 2"]


async def test_a_server_that_never_was_there_is_a_matter_of_infrastructure(tmp_path: Path) -> None:
    """4 as well, naming all addresses that were tried."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run(
            "impatient",
            1,
            RUNTARA_SERVER_ADDR="127.0.0.1:1,[::1]:1",
            RUNTARA_REQUEST_TIMEOUT_MS="500",
        )

    assert code == INFRASTRUCTURE
    assert "the core does not serve this run now: cannot reach the core: 127.0.0.1 port 1" in said
    assert "RUNTARA_SERVER_ADDR is 127.0.0.1:1, [::1]:1" in said


async def test_a_certificate_that_is_not_trusted_ends_the_run_at_once(tmp_path: Path) -> None:
    """With 4 and what to set: to try again for the whole budget would change nothing."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run("counting", 1, RUNTARA_SKIP_CERT_VERIFICATION="false")

    assert code == INFRASTRUCTURE
    (line,) = said.splitlines()
    assert line.startswith("ServerNotTrusted: the core is not trusted: 127.0.0.1 port ")
    assert "set RUNTARA_TLS_CA to the PEM file" in line


async def test_trusting_anybody_is_warned_of_once(tmp_path: Path) -> None:
    """Though the run shows life over a connection of its own."""
    async with running(tmp_path) as server:
        launcher = Launcher(tmp_path, server)
        code, _, said = await launcher.run("counting", 1, PACE="0.5")

    assert code == 0
    assert said.count("RUNTARA_SKIP_CERT_VERIFICATION is on") == 1


def outage(failures: int) -> Callable[[], Awaitable[str]]:
    """A call that fails so often before it succeeds."""
    left = iter(range(failures))

    async def call() -> str:
        if next(left, None) is not None:
            raise Unavailable("nothing listens there")
        return "done"

    return call


async def test_all_who_wait_tell_of_an_outage_once(caplog: pytest.LogCaptureFixture) -> None:
    """With why, and how long they will go on."""
    patience = Patience(budget=timedelta(minutes=5))
    found = await asyncio.gather(*(patience.persist(outage(2)) for _ in range(3)))

    assert found == ["done"] * 3
    (line,) = caplog.messages
    assert line.startswith("the core does not serve this run now: nothing listens there; it is")
    assert "asked for 0:05:00 more (budget= of @workflow)" in line


async def test_an_outage_that_goes_on_is_told_of_again(caplog: pytest.LogCaptureFixture) -> None:
    """Every half minute, unless it is to be told of more often."""
    await Patience(tell=timedelta(0)).persist(outage(3))

    assert len(caplog.messages) == 3
    assert Patience().tell == timedelta(seconds=30)
