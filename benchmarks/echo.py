"""
Echo over QUIC: our listener beside the stock `aioquic.asyncio` server, same client, same run.

`--ours` and `--stock` serve in this process: the port is printed, and end of input stops it.
Without either both are started, and measured in turn.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.quic.certificates import self_signed
from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.listener import Listener, ListenerSettings
from runtara_protocol.quic.stream import Stream

HOST = "127.0.0.1"
LOADS = (1, 16, 64)
SERVERS = ("stock", "ours")


class Echo:
    """Sends each stream back."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def stream(self, stream: Stream) -> None:
        """Send back what came."""
        pieces = []
        while piece := await stream.receive():
            pieces.append(piece)
        stream.send(b"".join(pieces))

    def closed(self) -> None:
        """Nothing is held."""


@asynccontextmanager
async def ours() -> AsyncIterator[int]:
    """Serve with our listener; yield the port."""
    settings = ListenerSettings(host=HOST, port=0, certificate=self_signed())
    async with Listener(settings, Echo) as listener:
        yield listener.address[1]


@asynccontextmanager
async def stock() -> AsyncIterator[int]:
    """Serve with aioquic's own server; yield the port."""
    certificate = self_signed()
    configuration = QuicConfiguration(
        is_client=False,
        certificate=certificate.chain[0],
        private_key=certificate.private_key,
        idle_timeout=120.0,
    )
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(_echo(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await serve(HOST, 0, configuration=configuration, stream_handler=accept)
    try:
        # The stock server has no public way to tell its port.
        transport = server._transport
        assert transport is not None
        yield transport.get_extra_info("sockname")[1]
    finally:
        server.close()


async def _echo(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(await reader.read())
    writer.write_eof()


async def _serve(kind: str) -> None:
    async with (ours if kind == "ours" else stock)() as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Return the seconds of CPU it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def process(kind: str) -> AsyncIterator[Server]:
    """Run a server in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "benchmarks.echo", f"--{kind}")
    server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield Server(int(await server.stdout.readline()), server.pid)
    finally:
        server.stdin.close()
        await server.wait()


async def rate(connections: list[ClientConnection], payload: bytes, seconds: float) -> float:
    """Exchange one frame at a time on each connection for so long; return exchanges a second."""
    frame = encode(MessageType.REQUEST, payload)
    count = 0
    start = time.perf_counter()

    async def one(connection: ClientConnection) -> None:
        nonlocal count
        while time.perf_counter() - start < seconds:
            await connection.exchange(frame)
            count += 1

    await asyncio.gather(*(one(connection) for connection in connections))
    return count / (time.perf_counter() - start)


async def connect_all(port: int, count: int) -> list[ClientConnection]:
    """Open so many connections to a server of this machine."""
    settings = ClientSettings(host=HOST, port=port, verify=False)
    return [await connect(settings) for _ in range(count)]


async def _compare(rounds: int, seconds: float) -> None:
    async with process("stock") as stock_server, process("ours") as our_server:
        servers = dict(zip(SERVERS, (stock_server, our_server), strict=True))
        for load in LOADS:
            open_ = {kind: await connect_all(one.port, load) for kind, one in servers.items()}
            rates: dict[str, list[float]] = {kind: [] for kind in SERVERS}
            costs: dict[str, list[float]] = {kind: [] for kind in SERVERS}
            for _ in range(rounds):
                for kind in SERVERS:
                    before = servers[kind].cpu()
                    reached = await rate(open_[kind], bytes(200), seconds)
                    rates[kind].append(reached)
                    costs[kind].append((servers[kind].cpu() - before) / (reached * seconds))
            _report(load, rates, costs)
            for connection in (*open_["stock"], *open_["ours"]):
                await connection.aclose()


def _report(load: int, rates: dict[str, list[float]], costs: dict[str, list[float]]) -> None:
    ratios = sorted(ours / stock for stock, ours in zip(rates["stock"], rates["ours"], strict=True))
    used = {kind: statistics.median(costs[kind]) * 1e6 for kind in SERVERS}
    print(
        f"{load:3} connections: stock {statistics.median(rates['stock']):6.0f}/s"
        f"  ours {statistics.median(rates['ours']):6.0f}/s"
        f"  ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        f"  server CPU an exchange: {used['stock']:.0f} and {used['ours']:.0f} µs"
    )


def main() -> None:
    """Serve, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    for kind in SERVERS:
        parser.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    if arguments.kind:
        uvloop.run(_serve(arguments.kind))
    else:
        uvloop.run(_compare(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
