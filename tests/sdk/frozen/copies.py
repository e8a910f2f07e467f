"""The databases that former commits have left, each in a copy of its own, with a server on it."""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.postgres import empty_database
from tests.support.server_process import environment, running

from runtara_persistence import (
    CustomSignal,
    SendCustomSignal,
    SendSignal,
    Signal,
    SignalType,
    SystemClock,
    connect,
)

ROOT = Path(__file__).parents[3]
MADE = ROOT / "tests/fixtures/made_by_f01a799"
MODULE = "tests.fixtures.made_by_f01a799.workflows"
TENANT = "frozen"


class Replays:
    """Runs instances of a database on a server, in processes of any kind."""

    def __init__(self, folder: Path, url: str, port: int) -> None:
        self.url = url
        self._folder = folder
        self._variables = {
            "RUNTARA_TENANT_ID": TENANT,
            "RUNTARA_SERVER_ADDR": f"127.0.0.1:{port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
            "RUNTARA_DATABASE_URL": url,
        }

    async def run(
        self, targets: Mapping[str, str], *, python: str = sys.executable, **variables: str
    ) -> dict[str, Any]:
        """Run instances, given by id as MODULE:FUNCTION; gives each one's outcome, value, notes."""
        process = await asyncio.create_subprocess_exec(
            *(python, str(Path(__file__).with_name("replay.py")), str(self._folder)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment(self._variables | {"PYTHONPATH": str(ROOT)} | variables),
        )
        async with asyncio.timeout(120):
            out, err = await process.communicate(json.dumps(dict(targets)).encode())
        assert process.returncode == 0, err.decode()
        found: dict[str, Any] = json.loads(out)
        return found

    async def send(self, values: Mapping[tuple[str, str], object]) -> None:
        """Send values of promises, by instance and name."""
        async with connect(self.url) as core:
            send = SendCustomSignal(core.signals, SystemClock())
            for (instance_id, name), value in values.items():
                signal = CustomSignal(name, json.dumps(value).encode())
                await send(instance_id=instance_id, signal=signal)

    async def resume(self, instance_id: str) -> None:
        """Tell a paused instance to go on."""
        async with connect(self.url) as core:
            tell = SendSignal(core.signals, SystemClock())
            await tell(instance_id=instance_id, signal=Signal(SignalType.RESUME))

    async def saved(self, instance_id: str, key: str) -> Any:
        """Read the value that is saved under a key."""
        async with connect(self.url) as core:
            kept = await core.checkpoints.get(instance_id, key)
        assert kept is not None
        return json.loads(kept.state)["value"]


@asynccontextmanager
async def on_sqlite(folder: Path, made: Path = MADE) -> AsyncIterator[Replays]:
    """Give a copy of the SQLite file of one commit, with a server on it."""
    shutil.copy(made / "core.db", folder / "frozen.db")
    async with served(folder, f"sqlite:{folder / 'frozen.db'}") as replays:
        yield replays


@asynccontextmanager
async def on_postgres(folder: Path) -> AsyncIterator[Replays]:
    """Give a PostgreSQL database restored from the dump, with a server on it."""
    with empty_database() as url:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute((MADE / "core.sql").read_text())
        finally:
            await connection.close()
        async with served(folder, url) as replays:
            yield replays


@asynccontextmanager
async def served(folder: Path, url: str) -> AsyncIterator[Replays]:
    """Run a server on a database."""
    async with running(folder, RUNTARA_DATABASE_URL=url) as server:
        yield Replays(folder, url, server.port)


DATABASES: dict[str, Callable[[Path], Any]] = {"sqlite": on_sqlite, "postgres": on_postgres}
