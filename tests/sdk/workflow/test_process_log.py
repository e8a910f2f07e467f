"""What a run's process says of itself: whether it goes on, what it waits for, what blocks it."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

import pytest
from tests.sdk.workflow.launches import Launcher, ended

pytestmark = pytest.mark.slow


async def test_a_run_that_goes_on_says_with_how_many_steps(launcher: Launcher) -> None:
    """They come from the core, and are not made again; the module's own logging settings stay."""
    first = await launcher.run("own_logging:counting", 12)
    while (later := await launcher.run("own_logging:counting"))[0] == 75:
        pass

    assert "resumed" not in first[2]
    assert "own settings: it is mine" in first[2]
    assert "INFO runtara_sdk" not in first[2]
    assert "own settings: resumed: 12 steps from the core" in later[2]
    assert later[:2] == (0, "12\n")


async def test_a_suspended_run_says_what_it_waits_for_and_until_when(launcher: Launcher) -> None:
    """Beside the next look, which is another moment than the deadline."""
    began = datetime.now(UTC).replace(microsecond=0)  # A deadline is said to the second.
    code, _, said = await launcher.run("own_logging:asking", "7d")

    assert code == 75
    line = next(line for line in said.splitlines() if line.startswith("suspended: "))
    _, _, deadline = line.partition("; it waits for the custom signal 'approval' until ")
    until = datetime.fromisoformat(deadline.removesuffix(" UTC (exit code 75)")).replace(tzinfo=UTC)
    assert timedelta(0) <= until - began - timedelta(days=7) < timedelta(minutes=1)
    assert f"run it again at {began + timedelta(days=1):%Y-%m-%d}" in line


async def test_the_sdks_own_work_is_not_said_to_be_the_users(launcher: Launcher) -> None:
    """Thousands of calls at once keep the loop busy, and no code of the user's does."""
    code, _, said = await launcher.run("gathering_many", 200)

    assert code == 0, said
    assert "blocked for a second" not in said


async def test_a_process_that_gets_no_time_blames_no_code(launcher: Launcher) -> None:
    """Such a process runs on a machine that is busy, or was suspended."""
    process = await launcher.start("asking", "approval")
    await launcher.until_known()
    for _ in range(2):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)  # The time that it does not get.
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.5)
    await launcher.send("approval", b"4")
    code, output, said = await ended(process)

    assert (code, output) == (0, "40\n"), said
    assert "blocked for a second" not in said
