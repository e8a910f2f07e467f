"""A server on a real socket that answers what the test tells it to."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb.instance_pb2 import (
    CheckpointResponse,
    GetCheckpointResponse,
    GetInstanceStatusResponse,
    InstanceEventResponse,
    ListCheckpointsResponse,
    PollSignalsResponse,
    RegisterInstanceResponse,
    RpcError,
    RpcRequest,
    RpcResponse,
    SleepResponse,
)
from runtara_protocol.quic.certificates import Certificate, self_signed
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.listener import Listener, ListenerSettings
from runtara_protocol.quic.stream import Stream

Act: TypeAlias = Callable[[Stream], Awaitable[None]]
"""What to do with a stream whose request is read."""

DEFAULTS = {
    "register_instance": RpcResponse(
        register_instance=RegisterInstanceResponse(success=True, run=1)
    ),
    "checkpoint": RpcResponse(checkpoint=CheckpointResponse(found=False)),
    "checkpoint_after": RpcResponse(checkpoint=CheckpointResponse(found=False)),
    "save_together": RpcResponse(checkpoint=CheckpointResponse(found=False)),
    "get_checkpoint": RpcResponse(get_checkpoint=GetCheckpointResponse(found=False)),
    "instance_event": RpcResponse(instance_event=InstanceEventResponse(success=True)),
    "get_instance_status": RpcResponse(get_instance_status=GetInstanceStatusResponse()),
    "list_checkpoints": RpcResponse(list_checkpoints=ListCheckpointsResponse()),
    "sleep": RpcResponse(sleep=SleepResponse()),
    "poll_signals": RpcResponse(poll_signals=PollSignalsResponse()),
    "nothing": RpcResponse(error=RpcError(code="EMPTY_REQUEST", message="nothing asked")),
}

ANSWERED_BY_THE_END = ("instance_event_batch", "signal_ack", "retry_attempt")


def send(data: bytes) -> Act:
    async def act(stream: Stream) -> None:
        stream.send(data)

    return act


def reply(response: RpcResponse) -> Act:
    return send(encode(MessageType.RESPONSE, response.SerializeToString()))


def refuse(code: str, message: str = "because") -> Act:
    return reply(RpcResponse(error=RpcError(code=code, message=message)))


async def reset(stream: Stream) -> None:
    stream.refuse()


class _HangUp(Exception):
    """The connection is to be closed, and with it its streams."""


async def hang_up(stream: Stream) -> None:
    raise _HangUp


async def be_silent(stream: Stream) -> None:
    await asyncio.Event().wait()


def hold_until(event: asyncio.Event, act: Act) -> Act:
    async def held(stream: Stream) -> None:
        await event.wait()
        await act(stream)

    return held


class FakeServer:
    """
    Acts, for each kind of request, as `script` says and then by default; remembers what it got.

    `received` gives the requests one by one, for tests to wait on. Those for nothing, by which a
    client sees whether the server lives, are answered but not kept. `gone` gives one item for each
    connection that ended.
    """

    def __init__(self) -> None:
        self.requests: list[RpcRequest] = []
        self.connections: list[Connection] = []
        self.received: asyncio.Queue[RpcRequest] = asyncio.Queue()
        self.gone: asyncio.Queue[None] = asyncio.Queue()
        self._scripts: dict[str, deque[Act]] = defaultdict(deque)
        self._defaults = {kind: reply(response) for kind, response in DEFAULTS.items()}
        self._defaults |= dict.fromkeys(ANSWERED_BY_THE_END, send(b""))

    def listen(
        self, port: int = 0, certificate: Certificate | None = None, host: str = "127.0.0.1"
    ) -> AbstractAsyncContextManager[Listener]:
        settings = ListenerSettings(
            host=host,
            port=port,
            certificate=certificate or self_signed(),
            keep_alive=None,
            grace=0.0,
        )
        return Listener(settings, self._accept)

    def script(self, kind: str, *acts: Act) -> None:
        self._scripts[kind].extend(acts)

    def always(self, kind: str, act: Act) -> None:
        self._defaults[kind] = act

    async def asked(self, kind: str) -> RpcRequest:
        """Wait for the next request of a kind."""
        async with asyncio.timeout(60):
            while True:
                request = await self.received.get()
                if request.WhichOneof("request") == kind:
                    return request

    def kinds(self) -> list[str | None]:
        return [request.WhichOneof("request") for request in self.requests]

    def hang_up(self) -> None:
        for connection in self.connections:
            connection.close("the test hung up")

    def _accept(self, connection: Connection) -> "_FakeHandler":
        self.connections.append(connection)
        return _FakeHandler(self, connection)

    async def serve(self, stream: Stream) -> None:
        """Read a stream's request, and do what is to be done with it."""
        decoder = FrameDecoder(accept=frozenset({MessageType.REQUEST}))
        payload = None
        while payload is None:
            payload = decoder.feed(await stream.receive())
        request = RpcRequest.FromString(payload)
        kind = request.WhichOneof("request") or "nothing"
        if kind != "nothing":
            self.requests.append(request)
            self.received.put_nowait(request)
        script = self._scripts[kind]
        await (script.popleft() if script else self._defaults[kind])(stream)


class _FakeHandler:
    """Serves the streams of one connection."""

    def __init__(self, server: FakeServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection

    async def stream(self, stream: Stream) -> None:
        try:
            await self._server.serve(stream)
        except _HangUp:
            self._connection.close("the test hung up")

    def closed(self) -> None:
        self._server.gone.put_nowait(None)
