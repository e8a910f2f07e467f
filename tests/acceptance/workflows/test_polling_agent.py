"""A polling agent that sleeps and restarts itself, killed at random points."""

from pathlib import Path

from tests.acceptance.workflows.launched import KILLED, launched

INPUT = {"number": 0, "every": "200ms"}


async def test_each_message_is_answered_once_over_sleeps_and_restarts(tmp_path: Path) -> None:
    """Messages that come while no process is there are found by the next one."""
    async with launched(tmp_path, seed=1) as examples:
        messages = examples.world.messages
        messages += ["one", "two", "three", "four"]
        await examples.start("polling_agent:agent", "agent", INPUT)
        await examples.until(lambda: len(examples.world.done("replies")) == len(messages))
        await examples.until_asleep("agent~2")
        messages += ["five", "stop"]
        ended = await examples.ended("agent")
        exits = await examples.exits("agent")

    assert ended.output == b"5"
    assert examples.world.done("replies") == [
        {"to": number, "text": text.upper()} for number, text in enumerate(messages[:-1])
    ]
    assert ended.instance_id.startswith("agent~")
    assert (ended.parent_id, ended.workflow) == (None, "polling-agent")
    assert KILLED in exits
