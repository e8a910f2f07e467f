"""
How soon a workflow goes on with what is sent to it, beside what that is made of, in one run.

Server, database, workflows and this sender are processes of their own. All columns are measured in
turn, one sample of each at a time.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import uvloop
from tests.support.postgres import migrated_database
from tests.support.server_process import running

from benchmarks.checkpoints import call
from benchmarks.echo import HOST, process
from runtara_persistence import (
    CustomSignal,
    Persistence,
    SendCustomSignal,
    SendSignal,
    Signal,
    SignalType,
    SystemClock,
    connect,
)
from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.client import ClientConnection, ClientSettings
from runtara_protocol.quic.client import connect as connect_quic
from runtara_sdk import promise, step, workflow

COLUMNS = ("echo", "sent", "notified", "polled", "workflow", "step")
ECHO = encode(MessageType.REQUEST, bytes(200))


@workflow
async def listening(count: int) -> list[float]:
    """Wait for one promise after the other; how old each value was."""
    return [await _age(f"at-{number}") for number in range(count)]


async def _age(name: str) -> float:
    sent = await promise(name, float)
    return time.time() - sent


@step
async def _work() -> None:
    try:
        await asyncio.sleep(600)
    finally:
        _write(str(time.time()))


def _write(text: str) -> None:
    Path(os.environ["CANCELLED_AT"]).write_text(text)


@workflow
async def working() -> None:
    """Be at work until cancelled, and write down when that is seen."""
    await _work()


@dataclass(slots=True)
class Bench:
    """A server under test and its clients; times in seconds, by column."""

    folder: Path
    url: str
    port: int
    persistence: Persistence
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    @contextmanager
    def timed(self, column: str) -> Iterator[None]:
        """Take the time of a block."""
        start = time.perf_counter()
        yield
        self.times[column].append(time.perf_counter() - start)

    async def start(
        self, name: str, instance_id: str, *arguments: str
    ) -> asyncio.subprocess.Process:
        """Run a workflow of this file in a process, and return when it is under way."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtara_sdk", "run", f"benchmarks.signals:{name}"),
            *("--instance-id", instance_id, *arguments),
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "RUNTARA_TENANT_ID": "bench",
                "RUNTARA_SERVER_ADDR": f"{HOST}:{self.port}",
                "RUNTARA_SKIP_CERT_VERIFICATION": "true",
                "CANCELLED_AT": str(self.folder / instance_id),
            },
        )
        self.processes.append(process)
        # No event tells of a row.
        while await self.persistence.instances.get(instance_id) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        return process

    async def send(self, instance_id: str, name: str, value: bytes) -> None:
        """Send a custom signal."""
        send = SendCustomSignal(self.persistence.signals, SystemClock())
        await send(instance_id=instance_id, signal=CustomSignal(name, value))

    async def cancel(self, instance_id: str) -> None:
        """Send a cancel."""
        send = SendSignal(self.persistence.signals, SystemClock())
        await send(instance_id=instance_id, signal=Signal(SignalType.CANCEL))


@asynccontextmanager
async def benched(database: str) -> AsyncIterator[Bench]:
    """Open a server on a new database."""
    with tempfile.TemporaryDirectory() as name, migrated_database() as postgres:
        folder = Path(name)
        url = postgres if database == "postgres" else f"sqlite:{folder / 'core.db'}"
        async with (
            running(folder, RUNTARA_DATABASE_URL=url) as server,
            connect(url) as persistence,
        ):
            bench = Bench(folder, url, server.port, persistence)
            try:
                yield bench
            finally:
                for each in bench.processes:
                    if each.returncode is None:
                        each.kill()


async def measure(database: str, count: int, steps: int) -> dict[str, list[float]]:
    """Take so many samples of each column, fewer of cancelled steps."""
    async with benched(database) as bench, process("ours") as echo:
        settings = ClientSettings(host=HOST, port=bench.port, verify=False)
        echoing = ClientSettings(host=HOST, port=echo.port, verify=False)
        async with await connect_quic(settings) as core, await connect_quic(echoing) as echoes:
            given = bench.folder / "count.json"
            given.write_text(str(count))
            listener = await bench.start("listening", "listening", "--input", str(given))
            register = pb.RegisterInstanceRequest(instance_id="raw", tenant_id="bench")
            await call(core, pb.RpcRequest(register_instance=register))
            for number in range(count):
                await _round(bench, number, core, echoes)
            await _notifications(bench, count)
            output, _ = await listener.communicate()
            bench.times["workflow"] = json.loads(output)
        await _cancelled_steps(bench, steps)
        return bench.times


async def _round(
    bench: Bench, number: int, core: ClientConnection, echoes: ClientConnection
) -> None:
    with bench.timed("echo"):
        await echoes.exchange(ECHO)
    name = f"c-{number}"
    poll = pb.PollSignalsRequest(instance_id="raw", checkpoint_id=name, wait_ms=20_000)
    polling = asyncio.create_task(call(core, pb.RpcRequest(poll_signals=poll)))
    await _a_while()
    with bench.timed("polled"):
        with bench.timed("sent"):
            await bench.send("raw", name, b"x")
        await polling
    await _a_while()
    value = str(time.time()).encode()
    await bench.send("listening", f"at-{number}", value)
    await _a_while()


async def _a_while() -> None:
    """Let all be quiet again; at random, so that no tick of anything is met."""
    await asyncio.sleep(random.uniform(0.05, 0.1))


async def _notifications(bench: Bench, count: int) -> None:
    """Hear of what is sent by PostgreSQL itself, without a server of ours."""
    if bench.url.startswith("sqlite"):
        return
    heard = asyncio.Event()
    listener = await asyncpg.connect(bench.url)
    await listener.add_listener("runtara_signals", lambda *_: heard.set())
    for number in range(count):
        await _a_while()
        heard.clear()
        with bench.timed("notified"):
            await bench.send("raw", f"n-{number}", b"x")
            await heard.wait()
    await listener.close()


async def _cancelled_steps(bench: Bench, count: int) -> None:
    names = [f"step-{number}" for number in range(count)]
    workers = [await bench.start("working", name) for name in names]
    for name in names:
        sent = time.time()
        await bench.cancel(name)
        await asyncio.sleep(0.5)
        bench.times["step"].append(float((bench.folder / name).read_text()) - sent)
    for worker in workers:
        await worker.wait()


def _print(database: str, times: dict[str, list[float]]) -> None:
    print(f"{database:>9}", end="")
    for column in COLUMNS:
        found = sorted(times.get(column, ()))
        text = f"{statistics.median(found) * 1e3:.1f} ({found[0] * 1e3:.1f})" if found else "-"
        print(f"{text:>15}", end="")
    print(flush=True)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="samples of each column")
    parser.add_argument("--steps", type=int, default=8, help="workflows cancelled in a step")
    parser.add_argument("databases", nargs="*", default=["postgres", "sqlite"])
    options = parser.parse_args()
    print("Milliseconds: the median, and the least of the samples; load average", os.getloadavg())
    print(f"{'':>9}", *(f"{column:>14}" for column in COLUMNS))
    for database in options.databases:
        _print(database, uvloop.run(measure(database, options.count, options.steps)))


if __name__ == "__main__":
    main()
