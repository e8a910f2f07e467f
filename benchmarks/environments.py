"""
Environments to measure: with their core in one process, and what they and their launches use.

As a program: an environment that writes each statement it asks SQLite for into a file, a line each.
"""

import asyncio
import io
import json
import os
import sqlite3
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.echo import HOST
from runtara_management_sdk import ManagementClient, ManagementSettings, Runner

TENANT = "bench"
_TICKS = os.sysconf("SC_CLK_TCK")
_STATEMENTS = "BENCHMARKS_STATEMENTS"

WORKFLOWS = """
import os
import socket
import time
from datetime import UTC, datetime
from runtara_sdk import promise, sleep_until, step, workflow

def mark(word):
    at = time.time()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        told = f"{os.environ['RUNTARA_INSTANCE_ID']} {word} {at!r} {os.getpid()}"
        out.sendto(told.encode(), ("127.0.0.1", int(os.environ["MARKS"])))

@step
async def one() -> int:
    return 1

@workflow(suspend_after=0)
async def walk() -> None:
    mark("started")
    moment = await promise("go", float)
    mark("signalled")
    await sleep_until(datetime.fromtimestamp(moment, UTC))
    mark("due")

@workflow
async def plain() -> None:
    await one()

@workflow
async def short() -> None:
    mark("started")
    await one()

@workflow(suspend_after="1h")
async def alive() -> None:
    mark("started")
    await promise("go", float)
"""
SLOW = f"import time\ntime.sleep(3)\n{WORKFLOWS}"
"""The same, whose import takes three seconds."""


class Marks(asyncio.DatagramProtocol):
    """What workflows say as they run: the moment (as `time.time`) of each word, and their pids."""

    def __init__(self) -> None:
        self.port = 0
        self.pids: dict[str, int] = {}
        self._moments: dict[tuple[str, str], asyncio.Future[float]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        instance_id, word, moment, pid = data.decode().split()
        self.pids[instance_id] = int(pid)
        future = self._future(instance_id, word)
        # A run that goes on says its earlier words once more.
        if not future.done():
            future.set_result(float(moment))

    async def moment(self, instance_id: str, word: str) -> float:
        """Wait for an instance's word."""
        async with asyncio.timeout(120):
            return await self._future(instance_id, word)

    def _future(self, instance_id: str, word: str) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        return self._moments.setdefault((instance_id, word), loop.create_future())


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment in a process of its own."""

    pid: int
    address: str
    core: str
    data_dir: Path
    client: ManagementClient
    marks: Marks

    async def image(self, source: str, workflow: str) -> str:
        """Register a module with a workflow; launches of it say their marks here."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("flows.py", source)
        metadata = {"target": f"flows:{workflow}", "env": {"MARKS": str(self.marks.port)}}
        registered = await self.client.images.register(
            TENANT, f"{workflow}-{hash(source)}", made.getvalue(), Runner.PYTHON, metadata=metadata
        )
        return registered.image_id

    async def at_rest(self) -> None:
        """Wait until no launch is open."""
        while (await self.client.health()).open_launches:  # noqa: ASYNC110  # It is only polled.
            await asyncio.sleep(0.02)

    def servers(self) -> list[int]:
        """Give the pids of what runs between launches: environment, spawner, warm interpreters."""
        spawner = self.spawner()
        if spawner is None:
            return [self.pid]
        warm = [pid for pid in children(spawner) if "interpreter.py" in _command(pid)]
        return [self.pid, spawner, *warm]

    def spawner(self) -> int | None:
        """Give the pid of the spawner; None if there is none."""
        wanted = f"DATA_DIR={self.data_dir}".encode()
        for pid in _processes():
            if "runtara_environment.spawner" in _command(pid) and wanted in _variables(pid):
                return pid
        return None

    def cpu(self) -> float:
        """Give the seconds of CPU that its servers have used."""
        return sum(map(cpu, self.servers()))


@asynccontextmanager
async def environment(
    url: str, data_dir: Path, *, capacity: int = 32, statements: Path | None = None
) -> AsyncIterator[Environment]:
    """Run an environment with its core on a database, until the block ends."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUNTARA_")},
        "RUNTARA_DATABASE_URL": url,
        "RUNTARA_EMBED_CORE": "true",
        "RUNTARA_CORE_ADDR": f"{HOST}:0",
        "RUNTARA_ENV_QUIC_PORT": "0",
        "RUNTARA_ENV_CAPACITY": str(capacity),
        "RUNTARA_MAX_CONCURRENT_INSTANCES": "100000",
        "DATA_DIR": str(data_dir),
    }
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    if statements is not None:
        variables[_STATEMENTS] = str(statements)
    module = "runtara_environment" if statements is None else "benchmarks.environments"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module), env=variables, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    transport, marks = await asyncio.get_running_loop().create_datagram_endpoint(
        Marks, local_addr=(HOST, 0)
    )
    opened: Environment | None = None
    try:
        entry = await _listening(process.stderr)
        draining = asyncio.create_task(process.stderr.read())
        settings = ManagementSettings(
            environment_addr=f"{entry['host']}:{entry['port']}",
            tls_ca=data_dir / "authority/ca.pem",
        )
        async with ManagementClient(settings) as client:
            opened = Environment(
                process.pid, settings.environment_addr, str(entry["core"]), data_dir, client, marks
            )
            yield opened
    finally:
        transport.close()
        spawner = None if opened is None else opened.spawner()
        process.terminate()
        await process.wait()
        if opened is not None:
            await draining
        if spawner is not None:
            os.kill(spawner, 9)


async def _listening(lines: asyncio.StreamReader) -> dict[str, Any]:
    said = []
    async for line in lines:
        said.append(line.decode())
        entry: dict[str, Any] = json.loads(line)
        if entry["event"] == "listening" and "core" in entry:
            return entry
    raise RuntimeError(f"the environment did not start:\n{''.join(said)}")


class Floor:
    """The bare script `launch_floor`, against an environment's core."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._number = 0

    async def launches(self, count: int = 1, at_once: int = 1) -> dict[str, Any]:
        """Fork so many; gives what it says of them."""
        self._number += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        prefix = f"floor-{os.getpid()}-{self._number}-"
        self._process.stdin.write(f"{count} {at_once} {prefix}\n".encode())
        found: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return found


@asynccontextmanager
async def floor(here: Environment) -> AsyncIterator[Floor]:
    """Run the bare script until the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.launch_floor", here.core),
        str(here.data_dir / "authority/ca.pem"),
        stdin=pipe,
        stdout=pipe,
        limit=1 << 22,
    )
    assert process.stdin is not None
    try:
        made = Floor(process)
        await made.launches()
        yield made
    finally:
        process.stdin.close()
        await process.wait()


# Processes


def cpu(pid: int) -> float:
    """Give the seconds of CPU that a process has used; 0 if it has ended."""
    try:
        # Nanoseconds, and of all its threads, where ticks are 10 ms.
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def idle() -> float:
    """Give the seconds that all CPUs together have been idle or waiting for the disk."""
    _, _, _, _, unused, waiting, *_ = Path("/proc/stat").read_text().split()
    return (int(unused) + int(waiting)) / _TICKS


def pss(pid: int) -> int:
    """Give a process's share of memory, in bytes."""
    return _memory(pid, "smaps_rollup", "Pss:")


def rss(pid: int) -> int:
    """Give a process's resident memory, in bytes."""
    return _memory(pid, "status", "VmRSS:")


def children(parent: int) -> list[int]:
    """Give the pids of a process's children."""
    return [pid for pid in _processes() if _parent(pid) == parent]


def _memory(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/{file} has no {name}")


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _parent(pid: int) -> int | None:
    text = _read(pid, "stat")
    return int(text.rpartition(b")")[2].split()[1]) if text else None


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def _variables(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0")


def _read(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _serve_with_statements() -> int:
    from runtara_environment.cli import run

    connect = sqlite3.connect
    with Path(os.environ[_STATEMENTS]).open("a", buffering=1) as file:

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **options)
            connection.set_trace_callback(
                lambda text: file.write(f"{time.time():.3f} {' '.join(text.split())}\n") and None
            )
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]  # The same, and it tells.
        return run([])


if __name__ == "__main__":
    sys.exit(_serve_with_statements())
