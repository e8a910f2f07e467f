"""A worker in the process of its clients."""

import pytest
from tests.runtara.shop import greet

from runtara import Worker, connect
from runtara_domain.launching import endings


async def test_an_end_in_this_process_is_heard_without_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker tells of it; nothing else would before the test has lost its patience."""
    monkeypatch.setattr(endings, "_FIRST_LOOK", 1000.0)
    monkeypatch.setattr(endings, "_LAST_LOOK", 1000.0)
    where = "sqlite::memory:"
    async with connect(where) as client, Worker(greet, where=where):
        handle = await client.start(greet, delay="100ms")
        assert await handle.result("20s") == ["Hello, you!"]
