"""The agent of a node, as a helper has it, without Ray."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import Here

from runtara_environment.folders import LaunchFolder, safe_name
from runtara_environment.placements.ray_cluster.agent import NodeAgent
from runtara_environment.placements.ray_cluster.wire import AgentSetup, packed, unpacked
from runtara_persistence.connect import connect
from runtara_persistence.memory import MemoryPersistence


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    """The folder of an agent that has begun, with a launch of an instance that is not stored."""
    url = f"sqlite:{tmp_path}/core.db"
    async with connect(url, migrates=True):
        pass
    setup = AgentSetup(
        environment_id="e",
        database_url=url,
        data_dir=tmp_path,
        core_addr="127.0.0.1:1",
        retention=timedelta(hours=1),
        sweep_s=0.05,
    )
    folder = tmp_path / safe_name("e@node")
    for instance_id, age in (("old", timedelta(hours=2)), ("new", timedelta(0))):
        made = LaunchFolder(folder / "runs", "acme", instance_id, "launch")
        made.make(None)
        (made.path / "stderr.log").write_bytes(b"words\n")
        for path in (made.instance, *made.instance.iterdir()):
            then = path.lstat().st_mtime - age.total_seconds()
            os.utime(path, (then, then))
    agent = NodeAgent(packed(setup), "node", "machine")
    await agent.begin(packed(setup))
    piece = unpacked(await agent.read_log("acme", "new", "launch", 2, 2))
    assert (piece.data, piece.end, piece.size) == (b"rd", 4, 6)
    yield folder
    for task in agent._tasks:
        task.cancel()
    await agent._stack.aclose()
    os.kill(Here(folder, MemoryPersistence()).spawner_pid(), signal.SIGKILL)


async def test_an_agent_clears_folders_away(home: Path) -> None:
    """Folders of deleted instances go once they are older than the retention."""
    runs = home / "runs" / "acme"
    async with asyncio.timeout(60):
        while (runs / "old").exists():  # noqa: ASYNC110  # It tells nothing.
            await asyncio.sleep(0.02)

    assert (runs / "new" / "launch").exists()
