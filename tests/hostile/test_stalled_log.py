"""The reader of the server's log may stop reading: the server's clients don't notice."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.server.wire import Wire, connected
from tests.support.server_process import HOST, PATIENCE, environment, running

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import ConnectError

EVENTS = 1000
# Each makes a line of a thousand bytes: several times what a pipe holds.
BATCHES = 300

Process: TypeAlias = subprocess.Popen[bytes]


async def send_unusable_batch(wire: Wire, name: str, events: int) -> None:
    """Send events of an instance that there is not."""
    event = pb.InstanceEvent(instance_id=name, event_type=pb.EVENT_CUSTOM)
    batch = pb.InstanceEventBatch(events=[event] * events)
    request = pb.RpcRequest(instance_event_batch=batch).SerializeToString()
    assert await wire.connection.exchange(encode(MessageType.REQUEST, request)) == b""


async def test_a_batch_that_makes_no_sense_is_one_line_of_the_log(tmp_path: Path) -> None:
    async with running(tmp_path) as server, connected(server.port) as wire:
        before = len(server.lines)
        await send_unusable_batch(wire, "nobody", EVENTS)
        await server.said("nobody")
        await server.terminate()

        about = [entry for entry in server.log[before:] if entry["level"] == "warning"]
        assert [f"skipped: {EVENTS}" in entry["event"] for entry in about] == [True]


@contextmanager
def server_read_by(reader: Process, folder: Path) -> Iterator[tuple[int, Process]]:
    """Run a server whose log goes to another process; give its port and its process."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    variables = {
        "RUNTARA_DATABASE_URL": "sqlite:core.db",
        "RUNTARA_QUIC_HOST": HOST,
        "RUNTARA_QUIC_PORT": str(port),
    }
    command = [sys.executable, "-m", "runtara_server"]
    process = subprocess.Popen(command, cwd=folder, env=environment(variables), stderr=reader.stdin)
    try:
        yield port, process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def connected_soon(port: int) -> AsyncIterator[Wire]:
    """Connect as soon as the server listens."""
    until = asyncio.get_running_loop().time() + PATIENCE
    async with AsyncExitStack() as stack:
        while True:
            try:
                wire = await stack.enter_async_context(connected(port))
                break
            except ConnectError:
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.05)
        yield wire


@pytest.fixture
def reader() -> Iterator[Process]:
    """A process that reads and drops what it reads."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


async def test_a_stalled_reader_of_the_log_stalls_no_client_and_no_end(
    tmp_path: Path, reader: Process
) -> None:
    with server_read_by(reader, tmp_path) as (port, process):
        async with connected_soon(port) as hostile, connected(port) as other:
            await other.register("i-1")
            reader.send_signal(signal.SIGSTOP)
            for number in range(BATCHES):
                await send_unusable_batch(hostile, f"{number}-{'x' * 1000}", 1)
            saved = await other.checkpoint("i-1", "c-1", b"state")
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, PATIENCE)

    assert saved.HasField("checkpoint")
    assert code == 0
