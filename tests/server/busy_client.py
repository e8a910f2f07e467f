"""A client that saves and tells all the time, whatever happens to the database."""

import asyncio
from dataclasses import dataclass, field

import asyncpg
from tests.server.wire import Wire
from tests.support.postgres import PostgresServer

from runtara_protocol.pb import instance_pb2 as pb

ANSWERED_WITHIN = 15.0  # seconds: five to begin a step, ten for it; no caller waits in a queue


@dataclass
class BusyClient:
    """Saves checkpoints and tells events one after another, each again until it is taken."""

    wire: Wire
    instance_id: str
    saved: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    refused: int = 0
    is_done: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        number = 0
        while not self.is_done:
            number += 1
            name = f"{self.instance_id}-{number}"
            answer = await self._ask(self._checkpoint(name))
            assert answer.checkpoint.state in (b"", name.encode())
            self.saved.add(name)
            await self._ask(self._event(name))
            self.told.add(name)
            self._news.set()

    async def until_told(self, more: int) -> None:
        """Wait until it has recorded so many more events."""
        count = len(self.told)
        while len(self.told) < count + more:
            self._news.clear()
            await self._news.wait()

    async def until_refused(self) -> None:
        """Wait until a call was refused because the database is away."""
        while not self.refused:
            self._news.clear()
            await self._news.wait()

    async def _ask(self, request: pb.RpcRequest) -> pb.RpcResponse:
        while True:
            async with asyncio.timeout(ANSWERED_WITHIN):
                answer = await self.wire.ask(request)
            if not answer.HasField("error"):
                return answer
            assert answer.error.code == "DATABASE_ERROR"
            assert "PostgreSQL" not in answer.error.message
            self.refused += 1
            self._news.set()

    def _checkpoint(self, name: str) -> pb.RpcRequest:
        message = pb.CheckpointRequest(
            instance_id=self.instance_id, checkpoint_id=name, state=name.encode()
        )
        return pb.RpcRequest(checkpoint=message)

    def _event(self, name: str) -> pb.RpcRequest:
        message = pb.InstanceEvent(
            instance_id=self.instance_id, event_type=pb.EVENT_CUSTOM, payload=name.encode()
        )
        return pb.RpcRequest(instance_event=message)


async def kept(database: PostgresServer) -> tuple[set[str], set[str]]:
    """Read which checkpoints and which events there are."""
    connection = await asyncpg.connect(database.url("postgres"))
    try:
        saved = await connection.fetch("SELECT checkpoint_id, state FROM checkpoints")
        told = await connection.fetch("SELECT payload FROM instance_events")
    finally:
        await connection.close()
    for row in saved:
        assert row["state"] in (row["checkpoint_id"].encode(), b"asleep")
    return {row["checkpoint_id"] for row in saved}, {(row[0] or b"").decode() for row in told}
