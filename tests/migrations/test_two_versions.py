"""A server of the version before the first migration that only adds, beside one of today's."""

import asyncio
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from tests.server.wire import Wire, connected
from tests.support import postgres
from tests.support.server_process import PATIENCE, running, running_unmeasured

from runtara_migrations.ledger import packaged
from runtara_persistence import CustomSignal, SendCustomSignal, SystemClock, connect
from runtara_protocol.pb import instance_pb2 as pb

ROOT = Path(__file__).parents[2]
FIRST_THAT_ONLY_ADDS = packaged("postgres")[6]
WORKERS = 8


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def sources_before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packages before that migration, out of the repository's history, as a search path."""
    file = f":(glob)**/sql/postgres/{FIRST_THAT_ONLY_ADDS.name}.sql"
    added = git("log", "--diff-filter=A", "--format=%H", "--", file).decode().split()
    assert added, "needs the repository with its whole history: git fetch --unshallow"
    folder = tmp_path_factory.mktemp("before")
    (folder / "tree.tar").write_bytes(git("archive", f"{added[-1]}^", "packages"))
    with tarfile.open(folder / "tree.tar") as archive:
        archive.extractall(folder, filter="data")
    return ":".join(str(path) for path in sorted(folder.glob("packages/*/src")))


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_database() as url:
        yield url


@dataclass
class Worker:
    """Saves one checkpoint after the other, each through the next of its servers in turn."""

    instance_id: str
    servers: list[Wire]
    stop: asyncio.Event
    saved: list[str] = field(default_factory=list)
    stepped: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        await self.servers[0].register(self.instance_id)
        while not self.stop.is_set():
            name = f"c-{len(self.saved)}"
            server = self.servers[len(self.saved) % len(self.servers)]
            answer = await server.checkpoint(self.instance_id, name, name.encode())
            assert answer.WhichOneof("response") == "checkpoint", answer
            assert not answer.checkpoint.found
            await self._read_elsewhere(server, name)
            self.saved.append(name)
            self.stepped.set()

    async def _read_elsewhere(self, server: Wire, name: str) -> None:
        for other in self.servers:
            if other is not server:
                found = await other.read(self.instance_id, name)
                assert found.state == name.encode()


async def steps_of(workers: list[Worker]) -> None:
    """Wait until each has done one more step than now."""
    for worker in workers:
        worker.stepped.clear()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(worker.stepped.wait() for worker in workers))


async def newest_migration(url: str) -> int:
    connection = await asyncpg.connect(url)
    newest: int = await connection.fetchval("SELECT max(version) FROM runtara_migrations")
    await connection.close()
    return newest


async def finish(server: Wire, instance_id: str) -> None:
    done = await server.event(instance_id, pb.EVENT_COMPLETED, b"done")
    assert done.instance_event.success


async def test_two_versions_serve_one_database_under_load(
    sources_before: str, tmp_path: Path, url: str
) -> None:
    """The old server goes on while the new one migrates, and both serve each other's instances."""
    stop = asyncio.Event()
    async with (
        # Packages on this path are found before those that are installed.
        running_unmeasured(tmp_path, RUNTARA_DATABASE_URL=url, PYTHONPATH=sources_before) as before,
        connected(before.port) as old,
        asyncio.TaskGroup() as group,
    ):
        workers = [Worker(f"i-{number}", [old], stop) for number in range(WORKERS)]
        working = [group.create_task(worker.work()) for worker in workers]
        await steps_of(workers)
        newest_before = await newest_migration(url)
        async with (
            running(tmp_path, RUNTARA_DATABASE_URL=url) as today,
            connected(today.port) as new,
        ):
            for worker in workers:
                worker.servers.append(new)
            await steps_of(workers)
            await steps_of(workers)
            await a_signal_reaches_a_poll_at_either(url, [old, new])
            stop.set()
            await asyncio.gather(*working)
            for number, worker in enumerate(workers):
                await finish(worker.servers[number % 2], worker.instance_id)
            statuses = [
                await server.status(w.instance_id) for w in workers for server in (old, new)
            ]

    assert newest_before == FIRST_THAT_ONLY_ADDS.version - 1
    assert await newest_migration(url) == packaged("postgres")[-1].version
    assert {status.status for status in statuses} == {pb.STATUS_COMPLETED}
    assert {status.output for status in statuses} == {b"done"}


async def a_signal_reaches_a_poll_at_either(url: str, servers: list[Wire]) -> None:
    """Both servers answer the polls they hold with a signal from a program of today."""
    async with connect(url) as core, asyncio.TaskGroup() as group:
        polls = []
        for number, server in enumerate(servers):
            await server.register(f"waiting-{number}")
            message = pb.PollSignalsRequest(
                instance_id=f"waiting-{number}", checkpoint_id="c", wait_ms=60_000
            )
            polls.append(group.create_task(server.ask(pb.RpcRequest(poll_signals=message))))
        send = SendCustomSignal(core.signals, SystemClock())
        for number in range(len(servers)):
            assert await send(instance_id=f"waiting-{number}", signal=CustomSignal("c", b"yes"))
    answers = [poll.result().poll_signals.custom_signal.payload for poll in polls]
    assert answers == [b"yes"] * len(servers)
