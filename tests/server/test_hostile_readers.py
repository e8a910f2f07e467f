"""Clients that ask for much and read little: bounded, refused, and no trouble for other clients."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import pytest
from aioquic.quic.connection import Limit, QuicConnection
from aioquic.quic.packet import QuicFrameType
from tests.domain.desk import ID, Desk
from tests.server.hostile import framed, memory, most_memory, neighbour_of, register
from tests.server.wire import response_in
from tests.support.clock import FrozenClock
from tests.support.quic_handlers import serving
from tests.support.raw_client import RawClient, raw_client
from tests.support.server_process import HOST, PATIENCE, running

from runtara_conformance.client import Reply, connect
from runtara_conformance.client import Stream as ClientStream
from runtara_conformance.message import Message
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    GetCheckpointResponse,
    GetInstanceStatusRequest,
    RpcError,
    SleepRequest,
)
from runtara_domain.ports.transport import Request
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.connection import Connection as ServedConnection
from runtara_protocol.quic.stream import Stream
from runtara_protocol.server.streams import RequestStreams
from runtara_server.operations import requests_of, router

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20
STATE = 4 * MIB
READS = 100
HOUR_MS = 3_600_000
# What one connection may leave unread, 128 MiB, with what is read at once and copied on its way.
BOUND = 128 * MIB + 24 * STATE


class Stingy(Limit):
    """An allowance of a client that takes no more than it once announced."""

    def __init__(self, value: int) -> None:
        super().__init__(frame_type=QuicFrameType.MAX_DATA, name="max_data", value=value)

    @property
    def value(self) -> int:
        return self._value

    @value.setter
    def value(self, value: int) -> None:
        self._value = getattr(self, "_value", value)


def read_no_more(client: RawClient) -> None:
    """Acknowledge what comes, and let no more come than was allowed at the start."""
    quic: QuicConnection = client.quic
    quic._local_max_data = Stingy(quic._local_max_data.value)


@pytest.mark.parametrize(
    "asked_for",
    [GetCheckpointRequest(ID, "large"), CheckpointRequest(ID, "large")],
    ids=["reading", "replaying"],
)
async def test_what_a_client_that_reads_nothing_leaves_with_the_server_is_bounded(
    tmp_path: Path, asked_for: Message
) -> None:
    """Four hundred MiB are asked for at once, by requests of a few bytes."""
    async with running(tmp_path) as server, neighbour_of(server) as neighbour:
        async with connect(HOST, server.port) as writer:
            await register(writer, ID)
            saved = await writer.request(CheckpointRequest(ID, "large", bytes(STATE)))
            assert saved == CheckpointResponse()
        before = memory(server)
        async with raw_client(server.port) as hostile:
            read_no_more(hostile)
            asked = framed(asked_for)
            for number in range(READS):
                hostile.quic.send_stream_data(4 * number, asked, end_stream=True)
            hostile.transmit()
            async with asyncio.timeout(PATIENCE):
                while memory(server) - before < BOUND / 3:
                    await neighbour.is_served(1)
            await neighbour.is_served(30)

        assert most_memory(server) - before < BOUND


async def test_a_client_that_reads_again_is_served_again() -> None:
    async with MemoryPersistence() as persistence:
        core = Desk(persistence, FrozenClock()).core()
        state = bytes(MIB // 4)
        asked = GetCheckpointRequest(ID, "large")

        def handler(connection: ServedConnection) -> RequestStreams[Request]:
            session = core.open_session()
            return RequestStreams(
                router(core),
                requests_of(session),
                session.close,
                is_overloaded=connection.is_overloaded,
            )

        async with (
            serving(handler, max_undelivered_each=MIB) as served,
            connect(HOST, served.port) as client,
            asyncio.timeout(PATIENCE),
        ):
            await register(client, ID)
            await client.request(CheckpointRequest(ID, "large", state))
            replies = await gather_replies([client.start(asked) for _ in range(40)])
            # Its last acknowledgement has no event.
            while isinstance(again := await client.request(asked), RpcError):
                assert again.code == "OVERLOADED"

    given = [one for one in replies if isinstance(one, GetCheckpointResponse)]
    refused = [one for one in replies if isinstance(one, RpcError)]
    assert {one.code for one in refused} == {"OVERLOADED"}
    assert {one.state for one in given} == {state}
    assert 4 <= len(given) < 20
    assert isinstance(again, GetCheckpointResponse)


async def gather_replies(streams: list[ClientStream]) -> list[Reply]:
    """Wait for all the answers."""
    return [await stream.reply() for stream in streams]


async def test_a_client_that_drops_its_streams_opens_no_end_of_them(tmp_path: Path) -> None:
    """Each sleep it drops lets it open another stream, and is held on: so many and no more."""
    async with (
        running(tmp_path, RUNTARA_QUIC_MAX_BI_STREAMS="100") as server,
        neighbour_of(server),
        connect(HOST, server.port) as hostile,
    ):
        await register(hostile, ID)
        for batch in range(4):
            for number in range(25):
                stream = hostile.start(SleepRequest(ID, HOUR_MS, f"s-{batch}-{number}", b""))
                stream.stop_sending()
            await hostile.ping()
        refused = await hostile.request(GetInstanceStatusRequest(ID))

    assert isinstance(refused, RpcError)
    assert refused.code == "OVERLOADED"


class OneRequest:
    """A stream that brings a request and keeps what it is answered."""

    is_ready = True

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.sent: list[bytes] = []

    async def receive(self) -> bytes:
        return self._request

    def send(self, data: bytes, *, end: bool = True) -> None:
        self.sent.append(data)

    def hand_back(self) -> None:
        raise AssertionError("nothing is held")

    def on_stop_sending(self, call: Callable[[], None]) -> AbstractContextManager[None]:
        return nullcontext()


REGISTER = pb.RegisterInstanceRequest(instance_id=ID, tenant_id="t-1")


@pytest.mark.parametrize(
    "request_",
    [
        pb.RpcRequest(register_instance=REGISTER),
        pb.RpcRequest(checkpoint=pb.CheckpointRequest(instance_id=ID, checkpoint_id="c-1")),
        pb.RpcRequest(get_checkpoint=pb.GetCheckpointRequest(instance_id=ID, checkpoint_id="c-1")),
        pb.RpcRequest(signal_ack=pb.SignalAck(instance_id=ID)),
    ],
    ids=lambda request: request.WhichOneof("request"),
)
async def test_while_overloaded_nothing_is_carried_out(request_: pb.RpcRequest) -> None:
    async with MemoryPersistence() as persistence:
        core = Desk(persistence, FrozenClock()).core()
        session = core.open_session()
        streams = RequestStreams(
            router(core), requests_of(session), session.close, is_overloaded=lambda: True
        )
        stream = OneRequest(encode(MessageType.REQUEST, request_.SerializeToString()))
        # It has what a handler uses of one.
        await streams.stream(cast(Stream, stream))

        [answer] = [response_in(sent) for sent in stream.sent]
        code = answer.error.code or answer.register_instance.code
        assert code == "OVERLOADED"
        assert persistence.store.instances == {}
