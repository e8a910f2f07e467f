"""A client of the instance protocol for tests: messages in, messages out, nothing added."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.client import ClientConnection, ClientSettings
from runtara_protocol.quic.client import connect as connect_quic

TENANT = "t-1"


class Wire:
    """Asks on one connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def exchange(self, request: bytes) -> pb.RpcResponse:
        """Send the payload of a request, and read the response."""
        return response_in(await self.connection.exchange(encode(MessageType.REQUEST, request)))

    async def ask(self, request: pb.RpcRequest) -> pb.RpcResponse:
        return await self.exchange(request.SerializeToString())

    async def register(self, instance_id: str, **fields: object) -> pb.RegisterInstanceResponse:
        message = pb.RegisterInstanceRequest(instance_id=instance_id, tenant_id=TENANT)
        for name, value in fields.items():
            setattr(message, name, value)
        return (await self.ask(pb.RpcRequest(register_instance=message))).register_instance

    async def checkpoint(
        self, instance_id: str, checkpoint_id: str, state: bytes = b""
    ) -> pb.RpcResponse:
        message = pb.CheckpointRequest(
            instance_id=instance_id, checkpoint_id=checkpoint_id, state=state
        )
        return await self.ask(pb.RpcRequest(checkpoint=message))

    async def read(self, instance_id: str, checkpoint_id: str) -> pb.GetCheckpointResponse:
        message = pb.GetCheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id)
        return (await self.ask(pb.RpcRequest(get_checkpoint=message))).get_checkpoint

    async def event(
        self, instance_id: str, kind: pb.InstanceEventType, payload: bytes = b""
    ) -> pb.RpcResponse:
        message = pb.InstanceEvent(instance_id=instance_id, event_type=kind, payload=payload)
        return await self.ask(pb.RpcRequest(instance_event=message))

    async def status(self, instance_id: str) -> pb.GetInstanceStatusResponse:
        message = pb.GetInstanceStatusRequest(instance_id=instance_id)
        return (await self.ask(pb.RpcRequest(get_instance_status=message))).get_instance_status


def response_in(frame: bytes) -> pb.RpcResponse:
    """Read the one response frame a stream brought."""
    decoder = FrameDecoder(accept=frozenset({MessageType.RESPONSE}))
    payload = decoder.feed(frame)
    decoder.end()
    assert payload is not None
    return pb.RpcResponse.FromString(payload)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """Connect to a server on this machine, whatever certificate it has."""
    settings = ClientSettings(host="127.0.0.1", port=port, verify=False, connect_timeout=60.0)
    async with await connect_quic(settings) as connection:
        yield Wire(connection)


@asynccontextmanager
async def all_connected(ports: Iterable[int]) -> AsyncIterator[list[Wire]]:
    """Connect to each, at once."""
    async with AsyncExitStack() as stack:
        yield await asyncio.gather(*(stack.enter_async_context(connected(port)) for port in ports))
