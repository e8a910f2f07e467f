"""
Checkpoints a second over QUIC, beside a bare echo and bare commits, all in one run.

Server, echo servers and this client are processes of their own; the durability of the server's
database is checked before anything is counted. Read ratios, not numbers.

PostgreSQL is a process more on the same machine: `echo` is measured while another writes as many
bare rows as there are checkpoints, and `six statements` is what a core without groups would do.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from benchmarks.databases import (
    NAMES,
    STATE,
    Bare,
    Writer,
    bare,
    database,
    six_statements,
    writing_to,
)
from benchmarks.echo import HOST, LOADS, Server, connect_all, process, rate
from benchmarks.rates import Rates
from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.client import ClientConnection

ECHOES = ("echo", "stock echo")
COLUMNS = (*ECHOES, "checkpoints", "commits", "grouped")

Figures = dict[str, list[float]]


@dataclass(slots=True)
class Report:
    """One load's figures: rates a second, and either side's CPU for one, in microseconds."""

    rates: Rates = field(default_factory=Rates)
    server: Figures = field(default_factory=dict)
    client: Figures = field(default_factory=dict)
    latency: float = 0.0

    def cost(self, column: str) -> str:
        """Tell the medians of the server's and of the client's CPU for one request."""
        server, client = self.server[column], self.client[column]
        return f"{statistics.median(server):.0f}+{statistics.median(client):.0f}"

    def allowed(self) -> float:
        """Return what goal 3 allows a serial checkpoint, in seconds."""
        return 1.2 * sum(1 / self.rates.median(column) for column in ("echo", "commits"))


@asynccontextmanager
async def core(url: str) -> AsyncIterator[Server]:
    """Run the server on a database, in a process of its own."""
    environment = {
        **os.environ,
        "RUNTARA_DATABASE_URL": url,
        "RUNTARA_QUIC_HOST": HOST,
        "RUNTARA_QUIC_PORT": "0",
        "RUNTARA_MAX_CONCURRENT_INSTANCES": "100000",
    }
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runtara_server",
        env=environment,
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

    @property
    def names(self) -> list[str]:
        """Their ids."""
        return [self._name(index) for index in range(len(self._connections))]

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


@dataclass(slots=True)
class Bench:
    """What is measured in turn: three servers, and what the database does without one."""

    url: str
    servers: dict[str, Server]
    alone: Bare
    writer: Writer | None
    seconds: float

    async def measure(self, load: int, rounds: int) -> Report:
        """Measure so many at once."""
        report = Report()
        connections = {
            name: await connect_all(one.port, load) for name, one in self.servers.items()
        }
        instances = Instances(connections["checkpoints"], f"load-{load}")
        await instances.register()
        for _ in range(rounds):
            # First, because the echoes are measured beside as many bare writes.
            saved = await self._costed(report, "checkpoints", instances.save(self.seconds))
            for name in ECHOES:
                async with self._busy(saved, load):
                    reached = rate(connections[name], bytes(250), self.seconds)
                    await self._costed(report, name, reached)
            report.rates.add("commits", await self.alone.rate(self.seconds / 2, 1))
            report.rates.add("grouped", await self.alone.rate(self.seconds / 2, load))
            if self.writer is not None:
                six = await six_statements(self.url, instances.names, self.seconds)
                report.rates.add("six statements", six)
        for connection in [one for several in connections.values() for one in several]:
            await connection.aclose()
        report.latency = statistics.median(instances.latencies)
        return report

    async def _costed(self, report: Report, column: str, reached: Awaitable[float]) -> float:
        """Take down what is reached, and either side's CPU for one."""
        server = self.servers[column]
        before = server.cpu(), time.process_time()
        rate = await reached
        used = server.cpu() - before[0], time.process_time() - before[1]
        report.rates.add(column, rate)
        for figures, seconds in zip((report.server, report.client), used, strict=True):
            figures.setdefault(column, []).append(seconds / (rate * self.seconds) * 1e6)
        return rate

    @asynccontextmanager
    async def _busy(self, rows_a_second: float, load: int) -> AsyncIterator[None]:
        """Keep PostgreSQL as busy as checkpoints keep it, by rows alone, half a load a commit."""
        if self.writer is None:
            yield
            return
        async with self.writer.writing(rows_a_second, max(1, load // 2)):
            yield


async def compare(url: str, rounds: int, seconds: float) -> dict[int, Report]:
    """Measure every load, all columns in turn, round after round."""
    reports: dict[int, Report] = {}
    async with AsyncExitStack() as stack:
        servers = {
            "echo": await stack.enter_async_context(process("ours")),
            "stock echo": await stack.enter_async_context(process("stock")),
            "checkpoints": await stack.enter_async_context(core(url)),
        }
        alone = await stack.enter_async_context(bare(url))
        is_process = url.startswith("postgresql:")
        writer = await stack.enter_async_context(writing_to(url)) if is_process else None
        columns = (*COLUMNS, "six statements") if is_process else COLUMNS
        _print_head(columns)
        bench = Bench(url, servers, alone, writer, seconds)
        for load in LOADS:
            reports[load] = await bench.measure(load, rounds)
            _print_row(load, reports[load], columns)
    return reports


def _print_head(columns: Sequence[str]) -> None:
    print(
        "Medians, a second. commits: rows by the database alone, one a commit; grouped: as many a"
        " commit as there are instances.\nCPU: the server's + this client's for one request, in"
        " microseconds: echo / stock echo / checkpoint.\nms: a checkpoint's median; of one at once,"
        " what goal 3 allows as well.\n"
    )
    print(f"{'':>10}", *(f"{column:>14}" for column in columns), end="")
    print("  of echo           of stock echo     CPU                         ms")


def _print_row(load: int, report: Report, columns: Sequence[str]) -> None:
    print(f"{load:>3} at once", end="")
    for column in columns:
        print(f"{report.rates.median(column):>15.0f}", end="")
    costs = " / ".join(report.cost(column) for column in (*ECHOES, "checkpoints"))
    allowed = f" (allowed {report.allowed() * 1000:.2f})" if load == 1 else ""
    of_echo, of_stock = (report.rates.ratio("checkpoints", echo) for echo in ECHOES)
    print(
        f"   {of_echo:<17} {of_stock:<17} {costs:<27} {report.latency * 1000:.2f}{allowed}",
        flush=True,
    )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=NAMES, default=NAMES[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    with database(options.database) as url:
        report = uvloop.run(compare(url, options.rounds, options.seconds))
    if options.json:
        figures = {load: asdict(one) for load, one in report.items()}
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
