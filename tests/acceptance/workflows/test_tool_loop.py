"""A tool loop with effects in doubt, killed at random points."""

from pathlib import Path

import pytest
from tests.acceptance.workflows.launcher import KILLED, launching


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_mail_is_sent_twice_by_a_service_that_would(tmp_path: Path, seed: int) -> None:
    """What a crash left open is asked about; the searches and the answer are the model's."""
    async with launching(tmp_path, seed, kills=4) as launcher:
        ended = await launcher.until_ended("tool_loop:tool_loop", "task-1", "tell both")

    assert ended.output == b'"both have been told"'
    assert launcher.world.books == [
        ("searches", {"query": "flights to Oslo"}),
        ("emails", {"to": "ann@example.org"}),
        ("searches", {"query": "hotels in Oslo"}),
        ("emails", {"to": "bob@example.org"}),
    ]
    assert KILLED in launcher.codes


@pytest.mark.parametrize(("moment", "found"), [("before", 404), ("booked", 200)])
async def test_the_service_is_asked_about_a_mail_in_doubt(
    tmp_path: Path, moment: str, found: int
) -> None:
    """Killed in the middle of the first one; it is sent again only if it was not."""
    async with launching(tmp_path, seed=0, kills=1) as launcher:
        launcher.plan = [(4, moment)]
        ended = await launcher.until_ended("tool_loop:tool_loop", "task-1", "tell both")

    assert ended.output == b'"both have been told"'
    assert launcher.codes == [KILLED, 0]
    assert launcher.world.found == [found]
    assert [mail["to"] for mail in launcher.world.done("emails")] == [
        "ann@example.org",
        "bob@example.org",
    ]
