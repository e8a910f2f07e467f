"""A worker in the process of its clients."""

import asyncio
import logging

import pytest
from tests.runtara.conftest import GENEROUS, until
from tests.runtara.shop import greet

from runtara import Worker, connect
from runtara_domain.launching import endings
from runtara_domain.launching.launcher import Launcher


async def test_an_end_in_this_process_is_heard_without_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker reports it; nothing else would before the test's time is up."""
    monkeypatch.setattr(endings, "_FIRST_LOOK", 1000.0)
    monkeypatch.setattr(endings, "_LAST_LOOK", 1000.0)
    where = "sqlite::memory:"
    async with connect(where) as client, Worker(greet, where=where):
        handle = await client.start(greet, delay="100ms")
        # Less than what one wait for the end takes, which looks once more when it is over.
        async with asyncio.timeout(25):
            assert await handle.result() == ["Hello, you!"]


async def test_a_worker_that_fails_says_so_at_once_and_at_the_end_of_its_block(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The block may be that of a web application, which goes on without a worker."""

    async def claim(self: Launcher) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Launcher, "_claim", claim)
    with caplog.at_level(logging.ERROR), pytest.RaisesGroup(ZeroDivisionError):
        async with Worker(greet, where="sqlite::memory:"):
            await until(lambda: "the worker has failed" in caplog.text)


async def test_a_worker_without_runs_ends_whatever_its_grace(where: str) -> None:
    """Its claim waits for something to launch, and nothing waits for that."""
    worker = Worker(greet, where=where, isolate="none", grace="10m")
    async with connect(where) as client, asyncio.timeout(GENEROUS), worker:
        assert await (await client.start(greet)).result("60s") == ["Hello, you!"]
