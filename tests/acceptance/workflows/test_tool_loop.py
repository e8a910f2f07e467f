"""A tool loop with effects in doubt, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launched import KILLED, launched


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_mail_is_sent_twice_by_a_service_that_would(tmp_path: Path, seed: int) -> None:
    """What a crash left open is asked about; the searches and the answer are the model's."""
    async with launched(tmp_path, seed, kills=4) as examples:
        await examples.start("tool_loop:tool_loop", "task-1", "tell both")
        ended = await examples.ended("task-1")
        exits = await examples.exits("task-1")

    assert ended.output == b'"both have been told"'
    assert examples.world.books == [
        ("searches", {"query": "flights to Oslo"}),
        ("emails", {"to": "ann@example.org"}),
        ("searches", {"query": "hotels in Oslo"}),
        ("emails", {"to": "bob@example.org"}),
    ]
    assert KILLED in exits


@pytest.mark.parametrize(("moment", "found"), [("before", 404), ("booked", 200)])
async def test_the_service_is_asked_about_a_mail_in_doubt(
    tmp_path: Path, moment: str, found: int
) -> None:
    """Killed in the middle of the first one; it is sent again only if it was not."""
    async with launched(tmp_path, seed=0) as examples:
        examples.world.plan = {4: moment}
        await examples.start("tool_loop:tool_loop", "task-1", "tell both")
        ended = await examples.ended("task-1")
        exits = await examples.exits("task-1")

    assert ended.output == b'"both have been told"'
    assert exits == [KILLED, 0]
    assert examples.world.found == [found]
    assert [mail["to"] for mail in examples.world.done("emails")] == [
        "ann@example.org",
        "bob@example.org",
    ]
