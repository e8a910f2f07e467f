"""A fake server and a client of it; the real server."""

import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pytest_asyncio import is_async_test
from tests.sdk.fake_server import FakeServer
from tests.sdk.log_watch import LogWatch
from tests.support.server_process import ServerProcess, running

from runtara_sdk import Client, Settings

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a file that share a server in one event loop, which reads what it says."""
    for item in items:
        if "shared_server" in getattr(item, "fixturenames", ()) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[LogWatch]:
    """What the SDK logs, for tests to wait on."""
    watch = LogWatch()
    logger = logging.getLogger("runtara_sdk")
    logger.addHandler(watch)
    with caplog.at_level(logging.INFO, "runtara_sdk"):
        yield watch
    logger.removeHandler(watch)


@pytest.fixture
async def settings(server: FakeServer) -> AsyncIterator[Callable[..., Settings]]:
    """Settings for the fake server, which listens meanwhile; each may be given otherwise."""
    async with server.listen() as listener:
        host, port = listener.address

        def made(**changes: Any) -> Settings:
            usual = Settings(
                instance_id="i-1",
                tenant_id="t-1",
                server_addr=f"{host}:{port}",
                skip_cert_verification=True,
                heartbeat_interval_ms=0,
            )
            return replace(usual, **changes)

        yield made


@pytest.fixture
async def client(settings: Callable[..., Settings]) -> AsyncIterator[Client]:
    async with Client(settings()) as client:
        yield client


@pytest.fixture
async def real_server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """The installed command, on `core.db` in `tmp_path`."""
    async with running(tmp_path) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One for all tests of a file, each of which has an `instance_id` of its own."""
    async with running(tmp_path_factory.mktemp("core")) as server:
        yield server


@pytest.fixture
def instance_id() -> str:
    """An id that no other test of this process has."""
    return f"i-{next(_numbers)}"
