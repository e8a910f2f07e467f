"""A parent and its children, each a process, while SIGKILL takes them and the server in turn."""

import asyncio
import json
import random
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.postgres import migrated_database
from tests.support.server_process import ServerProcess, environment, running

from runtara_persistence import FINAL, InstanceStatus, Persistence, connect

pytestmark = pytest.mark.usefixtures("unmeasured")

ROOT = Path(__file__).parents[2]
PARENT = "parent"


class Family:
    """Keeps a process running for each member that has not ended."""

    def __init__(self, server: ServerProcess, core: Persistence, children: int) -> None:
        self._server = server
        self._core = core
        self._children = children
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self.members = [PARENT, *(f"child-{number}" for number in range(children))]

    async def open_members(self) -> list[str]:
        """Return the instances that have not ended, without children that are yet to be started."""
        run_states = await self._core.instances.run_states(self.members)
        unknown = [] if PARENT in run_states else [PARENT]
        return unknown + [name for name, each in run_states.items() if each.state not in FINAL]

    async def launch(self) -> bool:
        """Launch open instances without a process; return whether an instance is open."""
        members = await self.open_members()
        for name in members:
            process = self._processes.get(name)
            if process is None or process.returncode is not None:
                self._processes[name] = await self._start(name)
        return bool(members)

    def kill(self, chance: random.Random) -> None:
        """Kill the process of some member."""
        running = [one for one in self._processes.values() if one.returncode is None]
        if running:
            with suppress(ProcessLookupError):
                chance.choice(running).kill()

    async def end(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        variables = {
            "RUNTARA_INSTANCE_ID": name,
            "RUNTARA_TENANT_ID": "t",
            "RUNTARA_SERVER_ADDR": f"127.0.0.1:{self._server.port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.family_member", str(self._children)),
            cwd=ROOT,
            env=environment(variables),
            stderr=asyncio.subprocess.DEVNULL,
        )


async def storm(url: str, folder: Path, *, children: int, kills: int) -> None:
    """Send this many SIGKILLs, then wait until all have ended; check what the parent received."""
    chance = random.Random(f"{children} {kills}")
    async with running(folder, RUNTARA_DATABASE_URL=url) as server, connect(url) as core:
        family = Family(server, core, children)
        try:
            while await family.launch():
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                if kills and not kills % 4:
                    await server.restart()
                elif kills:
                    family.kill(chance)
                kills = max(0, kills - 1)
        finally:
            await family.end()
        await check(core, family.members[1:])


async def check(core: Persistence, children: list[str]) -> None:
    """The parent has saved one ending a child: the one that stands in the child's row."""
    parent = await core.instances.get(PARENT)
    assert parent is not None
    assert (parent.status, parent.output) == (InstanceStatus.COMPLETED, b"heard all")
    page = await core.checkpoints.page(PARENT, limit=1000)
    heard = Counter(entry.checkpoint_id for entry in page.entries)
    assert heard == Counter(f"heard ~child/{child}" for child in children)
    for entry in page.entries:
        child = await core.instances.get(entry.checkpoint_id.removeprefix("heard ~child/"))
        assert child is not None
        assert child.parent_id == PARENT
        output = None if child.output is None else b64encode(child.output).decode()
        told = {"status": child.status.value, "error": child.error, "output": output}
        assert json.loads(entry.state or b"") == told


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/core.db"
    else:
        with migrated_database() as address:
            yield address


async def test_a_parent_hears_of_each_ending_once(url: str, tmp_path: Path) -> None:
    """Whichever process is killed between two steps, each ending is received once."""
    await storm(url, tmp_path, children=3, kills=6)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_large_family_hears_of_each_ending_once(url: str, tmp_path: Path) -> None:
    """The same with more children, and far more kills."""
    await storm(url, tmp_path, children=12, kills=60)
