"""A server whose memory is bounded by the system, with clients that want more of it."""

import asyncio
import resource
import signal
from contextlib import suppress
from pathlib import Path

from tests.server.wire import connected
from tests.support.raw_client import raw_client
from tests.support.server_process import ServerProcess, running_unmeasured

from runtara_protocol.frame import MessageType, encode

MIB = 1 << 20
ATTACKERS = 4
ROOM = 8 * MIB
SECONDS = 2.0
HALF = 8 * MIB


def left_with(server: ServerProcess, size: int) -> None:
    """Let the server take so many bytes more than it has, and no further."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [taken] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize")]
    bound = taken * 1024 + size
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (bound, bound))


async def send_half(server: ServerProcess) -> None:
    """Send a frame up to its half, and wait for what becomes of it."""
    with suppress(ConnectionError):
        async with raw_client(server.port) as client:
            head = encode(MessageType.REQUEST, bytes(HALF))
            client.quic.send_stream_data(0, head[:-1])
            client.transmit()
            await client.wait_closed()


async def test_without_memory_it_serves_on_or_ends_to_be_started_again(tmp_path: Path) -> None:
    """Either way it obeys, says why in few lines, and has kept what it acknowledged."""
    async with running_unmeasured(tmp_path) as server:
        async with connected(server.port) as wire:
            await wire.register("i-1")
            await wire.checkpoint("i-1", "c-1", b"kept")
            left_with(server, ROOM)
            attacks = [asyncio.create_task(send_half(server)) for _ in range(ATTACKERS)]
            ended = asyncio.create_task(server.process.wait())
            noticed = asyncio.create_task(server.said("(?i)memory"))
            # The log may have no memory for it, either, until the attack is over.
            await asyncio.wait(
                [ended, noticed], timeout=3 * SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            # One that serves on is attacked for so long.
            await asyncio.wait([ended], timeout=SECONDS)
        for task in (*attacks, noticed):
            task.cancel()
        await asyncio.gather(*attacks, noticed, return_exceptions=True)
        with suppress(ProcessLookupError):
            server.process.send_signal(signal.SIGTERM)
        code = await server.ended()
        said = list(server.lines)
        await server.start()
        async with connected(server.port) as wire:
            kept = await wire.read("i-1", "c-1")

    # A line about repeated lines may follow.
    assert code == 0 or (code == 1 and any("out of memory" in line for line in said[-3:]))
    assert any("memory" in line.lower() for line in said)
    assert len(said) < 100
    assert kept.state == b"kept"
