"""When a worker's processes are forked, and what becomes of a fork server that fails."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping

import pytest

from runtara import processes
from runtara.processes import Forked, Forks, Interpreters, Process
from runtara_sdk.errors import ConfigurationError

CAN = """echo '{"problem": ""}'; """
DIES = CAN + "read order"
SERVES = CAN + """read order; echo '{"ended": 1, "code": 0}'; exec cat > /dev/null"""
LIVES = CAN + "exec cat > /dev/null"


class Rig(Interpreters):
    """
    The forks of a worker, whose fork servers are shell scripts, in their order; and interpreters.

    Each script has its channel to the worker as its standard input and output.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__({})
        self.scripts: list[str] = []
        self.interpreters = 0
        self.forks = Forks({}, self)
        monkeypatch.setattr(processes, "_interpreter", self._fork_server)

    async def _fork_server(
        self, channel: socket.socket, preparation: Mapping[str, object]
    ) -> tuple[asyncio.subprocess.Process, bytes]:
        assert preparation == {"forks": True}
        script = self.scripts.pop(0)
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", script), stdin=channel.fileno(), stdout=channel.fileno()
        )
        return process, b""

    async def __call__(self, channel: socket.socket) -> tuple[Process, bytes]:
        self.interpreters += 1
        return Forked(None, 0), b""  # type: ignore[arg-type]

    async def process(self) -> Process:
        """Start a process."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process, _ = await self.forks(theirs)
        return process


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """Forks that are closed in the end."""
    found = Rig(monkeypatch)
    yield found
    await found.forks.close()


async def test_interpreters_replace_a_fork_server_that_ends_without_a_word(rig: Rig) -> None:
    """Once and for all: another one would end likewise."""
    rig.scripts = ["exit 7"]
    await asyncio.gather(rig.process(), rig.process())
    await rig.process()
    assert rig.interpreters == 3


async def test_interpreters_replace_fork_servers_that_end_twice_in_a_row(rig: Rig) -> None:
    rig.scripts = [DIES, DIES]
    for _ in range(2):
        assert await (await rig.process()).wait() is None
    assert rig.interpreters == 0
    await rig.process()
    assert rig.interpreters == 1


async def test_a_fork_server_that_ends_when_it_is_to_makes_up_for_one_that_failed(rig: Rig) -> None:
    rig.scripts = [
        DIES,
        SERVES,
        DIES,
        LIVES,
    ]
    for code in (None, 0, None):
        assert await (await rig.process()).wait() == code
        rig.forks.end_if_unused()
    await rig.process()
    assert rig.interpreters == 0


async def test_workflows_that_cant_be_imported_are_tried_again(rig: Rig) -> None:
    """A fork server that says so has not failed: an interpreter could not import them either."""
    rig.scripts = ["""echo '{"refused": "no module"}'"""] * 3
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="no module"):
            await rig.process()
        fork_server = rig.forks._fork_server
        assert fork_server is not None
        await fork_server.task
    assert rig.interpreters == 0


async def test_a_fork_server_that_takes_no_orders_ends_with_its_processes(rig: Rig) -> None:
    """A process that is to end has ended, in any case."""
    rig.scripts = [CAN + "exec sleep 1000"]
    process = await rig.process()
    fork_server = rig.forks._fork_server
    assert fork_server is not None
    while not fork_server.has_failed:
        process.kill()
    assert await process.wait() is None


async def test_no_process_starts_after_the_end(rig: Rig) -> None:
    await rig.forks.close()
    with pytest.raises(ConnectionError, match="closed"):
        await rig.process()
    assert rig.interpreters == 0
