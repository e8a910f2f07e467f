"""What tests of hostile peers share: a well-behaved neighbour, a look at the server's memory."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.server_process import HOST, PATIENCE, ServerProcess

from runtara_conformance import envelope, frame
from runtara_conformance.client import Connection, connect
from runtara_conformance.message import Message
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
)

TENANT = "t-1"


class Neighbour:
    """Saves one checkpoint after another for as long as its block lasts."""

    def __init__(self, connection: Connection) -> None:
        self.served = 0
        self.is_enough = False
        self._connection = connection
        self._changed = asyncio.Event()

    async def work(self) -> None:
        """Save, and see every answer."""
        await register(self._connection, "neighbour")
        while not self.is_enough:
            asked = CheckpointRequest("neighbour", f"c-{self.served}", b"x" * 200)
            assert await self._connection.request(asked) == CheckpointResponse()
            self.served += 1
            self._changed.set()

    async def is_served(self, times: int = 3) -> None:
        """Wait until it has been answered so often from now on."""
        enough = self.served + times
        async with asyncio.timeout(PATIENCE):
            while self.served < enough:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def neighbour_of(server: ServerProcess) -> AsyncIterator[Neighbour]:
    """Have a well-behaved client at work, on a connection of its own."""
    async with connect(HOST, server.port) as connection, asyncio.TaskGroup() as group:
        neighbour = Neighbour(connection)
        group.create_task(neighbour.work())
        await neighbour.is_served(1)
        try:
            yield neighbour
            await neighbour.is_served()
        finally:
            neighbour.is_enough = True


async def register(connection: Connection, instance_id: str) -> None:
    """Begin a run of an instance, creating it if need be."""
    reply = await connection.request(RegisterInstanceRequest(instance_id, TENANT))
    assert isinstance(reply, RegisterInstanceResponse), reply
    assert reply.success, reply


def framed(message: Message) -> bytes:
    """Give a request as it goes over a stream."""
    return frame.encode(envelope.wrap(message))


def memory(server: ServerProcess) -> int:
    """Tell how many bytes the process holds now."""
    return _status(server, "VmRSS")


def most_memory(server: ServerProcess) -> int:
    """Tell how many bytes the process has held at most."""
    return _status(server, "VmHWM")


def _status(server: ServerProcess, field: str) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(rf"{field}:\s+([0-9]+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


def complaints(server: ServerProcess) -> list[str]:
    """Give what it logged as an error: a peer's doing is none."""
    return [line for line in server.lines if "Traceback" in line or '"level": "error"' in line]
