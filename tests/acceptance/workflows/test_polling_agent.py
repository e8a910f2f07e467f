"""A polling agent that sleeps and restarts itself, killed at random points."""

import asyncio
from pathlib import Path

from tests.acceptance.workflows.launcher import KILLED, PATIENCE, SUSPENDED, beside, launching

INPUT = {"number": 0, "every": "200ms"}


async def test_each_message_is_answered_once_over_sleeps_and_restarts(tmp_path: Path) -> None:
    """Messages that come while no process is there are found by the next one."""
    async with launching(tmp_path, seed=1) as launcher:
        messages = launcher.world.messages
        messages += ["one", "two", "three", "four"]
        async with beside(launcher.until_ended("polling_agent:agent", "agent", INPUT)) as running:
            async with asyncio.timeout(PATIENCE):
                while SUSPENDED not in launcher.codes and not running.done():  # noqa: ASYNC110 - a list has no event
                    await asyncio.sleep(0.02)
            messages += ["five", "stop"]
            ended = await running

    assert ended.output == b"5"
    assert launcher.world.done("replies") == [
        {"to": number, "text": text.upper()} for number, text in enumerate(messages[:-1])
    ]
    assert ended.instance_id.startswith("agent~")
    assert KILLED in launcher.codes
