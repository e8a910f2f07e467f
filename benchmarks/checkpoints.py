"""
Checkpoints a second over QUIC, beside a bare echo and bare commits, all in one run.

Server, echo servers and this client are processes of their own; the durability of the server's
database is checked before anything is counted. Read ratios, not numbers.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from benchmarks.echo import HOST, LOADS, Server, process, rate
from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect

STATE = os.urandom(200)
COLUMNS = ("echo", "stock echo", "checkpoints", "commits", "grouped")

Figures = dict[str, list[float]]


@dataclass(slots=True)
class Report:
    """One load's figures: rates a second, and either side's CPU for one, in microseconds."""

    rates: Figures = field(default_factory=lambda: {column: [] for column in COLUMNS})
    server: Figures = field(default_factory=lambda: {column: [] for column in COLUMNS})
    client: Figures = field(default_factory=lambda: {column: [] for column in COLUMNS})
    latency: float = 0.0

    def ratio(self, column: str) -> str:
        """Compare checkpoints with a column, round by round: the median and the spread."""
        pairs = zip(self.rates["checkpoints"], self.rates[column], strict=True)
        ratios = sorted(saved / other for saved, other in pairs)
        return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"

    def cost(self, column: str) -> str:
        """Tell the medians of the server's and of the client's CPU for one request."""
        server, client = self.server[column], self.client[column]
        return f"{statistics.median(server):.0f}+{statistics.median(client):.0f}"

    def allowed(self) -> float:
        """Return what goal 3 allows a serial checkpoint, in seconds."""
        medians = [statistics.median(self.rates[column]) for column in ("echo", "commits")]
        return 1.2 * sum(1 / rate for rate in medians)


@asynccontextmanager
async def core(database: Path) -> AsyncIterator[Server]:
    """Run the server on a SQLite file, in a process of its own."""
    environment = {
        **os.environ,
        "RUNTARA_DATABASE_URL": f"sqlite:{database}",
        "RUNTARA_QUIC_HOST": HOST,
        "RUNTARA_QUIC_PORT": "0",
        "RUNTARA_MAX_CONCURRENT_INSTANCES": "100000",
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runtara_server",
        env=environment,
        cwd=database.parent,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        async for line in server.stderr:
            entry = json.loads(line)
            if entry["event"] == "listening":
                break
        else:
            raise RuntimeError("the server did not start")
        yield Server(int(entry["port"]), server.pid)
    finally:
        server.terminate()
        await server.wait()


async def call(connection: ClientConnection, request: pb.RpcRequest) -> pb.RpcResponse:
    """Exchange one request, as a client of ours would."""
    frame = encode(MessageType.REQUEST, request.SerializeToString())
    decoder = FrameDecoder(frozenset({MessageType.RESPONSE}))
    payload = decoder.feed(await connection.exchange(frame))
    assert payload is not None
    return pb.RpcResponse.FromString(payload)


class Instances:
    """Instances that save one checkpoint after the other, each on a connection of its own."""

    def __init__(self, connections: list[ClientConnection], prefix: str) -> None:
        self._connections = connections
        self._prefix = prefix
        self._serial = 0
        self.latencies: list[float] = []

    async def register(self) -> None:
        """Begin a run of each."""
        for index, connection in enumerate(self._connections):
            request = pb.RegisterInstanceRequest(instance_id=self._name(index), tenant_id="bench")
            answer = await call(connection, pb.RpcRequest(register_instance=request))
            assert answer.register_instance.success, answer.register_instance.error

    async def save(self, seconds: float) -> float:
        """Save for so long; the result is in checkpoints a second."""
        start = time.perf_counter()
        counts = await asyncio.gather(
            *(self._save(index, start + seconds) for index in range(len(self._connections)))
        )
        return sum(counts) / (time.perf_counter() - start)

    async def _save(self, index: int, until: float) -> int:
        count = 0
        while (begun := time.perf_counter()) < until:
            self._serial += 1
            request = pb.CheckpointRequest(
                instance_id=self._name(index), checkpoint_id=f"step/{self._serial}", state=STATE
            )
            answer = await call(self._connections[index], pb.RpcRequest(checkpoint=request))
            assert answer.WhichOneof("response") == "checkpoint"
            assert not answer.checkpoint.found
            self.latencies.append(time.perf_counter() - begun)
            count += 1
        return count

    def _name(self, index: int) -> str:
        return f"{self._prefix}-{index}"


class Commits:
    """Bare commits of the same rows by SQLite alone, in this process."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, state BLOB)")

    def rate(self, seconds: float, group: int) -> float:
        """Commit for so long, so many rows at a time; the result is in rows a second."""
        count = 0
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            self._connection.execute("BEGIN IMMEDIATE")
            for _ in range(group):
                self._connection.execute("INSERT INTO bare (state) VALUES (?)", (STATE,))
            self._connection.execute("COMMIT")
            count += group
        return count / (time.perf_counter() - start)


def check_durability(database: Path) -> None:
    """Refuse to measure a server whose file is in a mode that is not durable."""
    with sqlite3.connect(database) as connection:
        [mode] = connection.execute("PRAGMA journal_mode").fetchone()
    assert mode == "wal", mode


async def compare(rounds: int, seconds: float) -> dict[int, Report]:
    """Measure every load, all columns in turn, round after round."""
    reports: dict[int, Report] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commits = Commits(folder)
        database = folder / "core.db"
        async with core(database) as saving, process("ours") as ours, process("stock") as stock:
            check_durability(database)
            servers = {"echo": ours, "stock echo": stock, "checkpoints": saving}
            for load in LOADS:
                reports[load] = await _load(load, servers, commits, rounds, seconds)
                _print_row(load, reports[load])
    return reports


async def _load(
    load: int, servers: dict[str, Server], commits: Commits, rounds: int, seconds: float
) -> Report:
    report = Report()
    connections = {name: await _connections(one.port, load) for name, one in servers.items()}
    instances = Instances(connections["checkpoints"], f"load-{load}")
    await instances.register()
    measures: dict[str, Callable[[], Awaitable[float]]] = {
        "echo": lambda: rate(connections["echo"], bytes(250), seconds),
        "stock echo": lambda: rate(connections["stock echo"], bytes(250), seconds),
        "checkpoints": lambda: instances.save(seconds),
    }
    for _ in range(rounds):
        for name, measure in measures.items():
            before = servers[name].cpu(), time.process_time()
            reached = await measure()
            used = servers[name].cpu() - before[0], time.process_time() - before[1]
            report.rates[name].append(reached)
            report.server[name].append(used[0] / (reached * seconds) * 1e6)
            report.client[name].append(used[1] / (reached * seconds) * 1e6)
        report.rates["commits"].append(commits.rate(seconds / 2, 1))
        report.rates["grouped"].append(commits.rate(seconds / 2, load))
    for connection in [one for several in connections.values() for one in several]:
        await connection.aclose()
    report.latency = statistics.median(instances.latencies)
    return report


async def _connections(port: int, count: int) -> list[ClientConnection]:
    settings = ClientSettings(host=HOST, port=port, verify=False)
    return [await connect(settings) for _ in range(count)]


def _print_head() -> None:
    print(
        "Medians, a second. commits: rows by SQLite alone, one a commit; grouped: as many a commit"
        " as there are instances.\nCPU: the server's + this client's for one request, in"
        " microseconds: echo / stock echo / checkpoint.\nms: a checkpoint's median; of one at once,"
        " what goal 3 allows as well.\n"
    )
    print(f"{'':>10}", *(f"{column:>11}" for column in COLUMNS), end="")
    print("  of echo           of stock echo     CPU                         ms")


def _print_row(load: int, report: Report) -> None:
    print(f"{load:>3} at once", end="")
    for column in COLUMNS:
        print(f"{statistics.median(report.rates[column]):>12.0f}", end="")
    costs = " / ".join(report.cost(column) for column in ("echo", "stock echo", "checkpoints"))
    allowed = f" (allowed {report.allowed() * 1000:.2f})" if load == 1 else ""
    print(
        f"   {report.ratio('echo'):<17} {report.ratio('stock echo'):<17}"
        f" {costs:<27} {report.latency * 1000:.2f}{allowed}",
        flush=True,
    )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    _print_head()
    report = uvloop.run(compare(options.rounds, options.seconds))
    if options.json:
        figures = {load: asdict(one) for load, one in report.items()}
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
