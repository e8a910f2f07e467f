"""Workers of the shop in processes of their own, and what their steps noted."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.environment.conftest import Here
from tests.runtara.shop import WORKFLOWS
from tests.support.postgres import empty_database

from runtara import Client, Handle, Instance, Worker, connect
from runtara_environment.config import EnvironmentSettings
from runtara_environment.runtime import EnvironmentRuntime
from runtara_persistence.memory import MemoryPersistence

ROOT = Path(__file__).parents[2]
GENEROUS = 60


async def until(holds: Callable[[], bool]) -> None:
    """Return when a condition holds; fails after a generous time."""
    async with asyncio.timeout(GENEROUS):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Shop:
    """Where the core is, and a file that the shop's steps write to."""

    where: str
    notes: Path

    def noted(self) -> list[str]:
        """What steps have written down, in their order."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker of the shop until the block ends."""
        variables = {
            **os.environ,
            "RUNTARA_DATABASE_URL": self.where,
            "SHOP_NOTES": str(self.notes),
            "PYTHONPATH": str(ROOT),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtara.shop", *arguments], env=variables, cwd=ROOT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Open a client."""
        async with connect(self.where) as client:
            yield client


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop on a SQLite file, whose steps in this process note in the same file."""
    found = Shop(f"sqlite:{tmp_path / 'shop.db'}", tmp_path / "notes")
    monkeypatch.setenv("SHOP_NOTES", str(found.notes))
    return found


class Ways:
    """Waiting for instances, however the core is reached."""

    @staticmethod
    async def until_state(handle: Handle[Any], holds: Callable[[Instance], bool]) -> None:
        """Return when an instance stands as asked for; fails after a generous time."""
        async with asyncio.timeout(GENEROUS):
            while not holds(await handle.status()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    @classmethod
    async def until_waiting(cls, handle: Handle[Any]) -> None:
        """Return when an instance is suspended and waits for something."""
        await cls.until_state(handle, lambda found: bool(found.waiting_for))


def servers(folder: Path, database_url: str = "") -> EnvironmentRuntime:
    """Give an environment with its core on free ports, on a database of this folder or another."""
    return EnvironmentRuntime(
        EnvironmentSettings(
            database_url=database_url or f"sqlite:{folder}/servers.db",
            data_dir=folder / "data",
            env_quic_port=0,
            core_addr="127.0.0.1:0",
            embed_core=True,
            max_concurrent_instances=1000,
        )
    )


@pytest.fixture(params=["embedded", "servers"])
async def where(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Where the core is: in this process, or behind servers, as variables say too."""
    for name in [name for name in os.environ if name.startswith("RUNTARA_")]:
        monkeypatch.delenv(name)
    if request.param == "embedded":
        yield "sqlite::memory:"
        return
    async with servers(tmp_path) as runtime:
        host, port = runtime.address
        monkeypatch.setenv("RUNTARA_TLS_CA", str(tmp_path / "data/authority/ca.pem"))
        monkeypatch.setenv("RUNTARA_SERVER_ADDR", runtime.core_address)
        yield f"{host}:{port}"
    end_spawner(tmp_path / "data")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/storm.db"
        return
    with empty_database() as url:
        yield url


@pytest.fixture(params=["embedded", "servers"])
async def storm(
    request: pytest.FixtureRequest,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[str]:
    """Where the core is, said by variables too, for workers in processes of their own."""
    monkeypatch.setenv("SHOP_NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if request.param == "embedded":
        monkeypatch.setenv("RUNTARA_DATABASE_URL", database)
        yield database
        return
    async with servers(tmp_path, database) as runtime:
        host, port = runtime.address
        monkeypatch.setenv("RUNTARA_TLS_CA", str(tmp_path / "data/authority/ca.pem"))
        monkeypatch.setenv("RUNTARA_SERVER_ADDR", runtime.core_address)
        monkeypatch.setenv("RUNTARA_ENVIRONMENT_ADDR", f"{host}:{port}")
        yield f"{host}:{port}"
    end_spawner(tmp_path / "data")


def end_spawner(folder: Path) -> None:
    """End the spawner of an environment's folder, which would wait for another environment."""
    os.kill(Here(folder, MemoryPersistence()).spawner_pid(), signal.SIGKILL)


@pytest.fixture
async def client(where: str) -> AsyncIterator[Client]:
    """A client, with a worker of the shop beside it."""
    async with connect(where) as client, Worker(*WORKFLOWS, where=where, isolate="none"):
        yield client
