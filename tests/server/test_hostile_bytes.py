"""Bytes no client should send: each costs its own stream, and no other client anything."""

import asyncio
import random
import socket
from pathlib import Path

import pytest
from tests.domain.desk import Desk
from tests.server.hostile import complaints, framed, memory, most_memory, neighbour_of
from tests.support.clock import FrozenClock
from tests.support.quic_handlers import serving
from tests.support.raw_client import raw_client
from tests.support.server_process import HOST, PATIENCE, running

from runtara_conformance.client import Reset, connect
from runtara_conformance.messages import GetInstanceStatusRequest, GetInstanceStatusResponse
from runtara_domain.ports.transport import Request
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_protocol.quic.connection import Connection
from runtara_protocol.server.streams import RequestStreams
from runtara_server.operations import requests_of, router

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20
LARGEST = 64 * MIB
STATUS = framed(GetInstanceStatusRequest("nobody"))
ANNOUNCEMENT = LARGEST.to_bytes(4, "big") + b"\x00\x01"


async def test_announcements_of_the_largest_frame_on_a_thousand_streams_hold_nothing(
    tmp_path: Path,
) -> None:
    async with (
        running(tmp_path) as server,
        neighbour_of(server) as neighbour,
        raw_client(server.port) as hostile,
    ):
        before = memory(server)
        for number in range(999):
            hostile.quic.send_stream_data(4 * number, ANNOUNCEMENT + b"0123456789")
        hostile.quic.send_stream_data(4 * 999, STATUS)
        hostile.transmit()
        async with asyncio.timeout(PATIENCE):
            assert await hostile.answer(4 * 999)
        await neighbour.is_served()

        assert most_memory(server) - before < 64 * MIB
        assert complaints(server) == []


async def test_half_frames_wait_without_holding_up_another_client(tmp_path: Path) -> None:
    """Ten halves of 2 MiB; then the connection goes, and what it made the server hold with it."""
    async with running(tmp_path) as server, neighbour_of(server) as neighbour:
        before = memory(server)
        async with connect(HOST, server.port) as hostile:
            for _ in range(10):
                hostile.raw_stream().write(ANNOUNCEMENT + bytes(2 * MIB))
            answer = await hostile.request(GetInstanceStatusRequest("nobody"))
            await neighbour.is_served()

            assert isinstance(answer, GetInstanceStatusResponse)
        assert most_memory(server) - before < 100 * MIB


@pytest.mark.parametrize("way", ["reset", "stop", "both"])
async def test_a_stream_given_up_at_any_point_costs_only_itself(tmp_path: Path, way: str) -> None:
    async with (
        running(tmp_path) as server,
        neighbour_of(server) as neighbour,
        connect(HOST, server.port) as hostile,
    ):
        for cut in [*range(1, len(STATUS) + 1), len(STATUS)] * 5:
            stream = hostile.raw_stream()
            stream.write(STATUS[:cut])
            if way != "reset":
                stream.stop_sending(7)
            if way != "stop":
                stream.reset(9)
        await neighbour.is_served()

        answer = await hostile.request(GetInstanceStatusRequest("nobody"))
        assert isinstance(answer, GetInstanceStatusResponse)
        assert complaints(server) == []


async def test_datagrams_of_garbage_are_dropped(tmp_path: Path) -> None:
    """Random ones, and some that begin like the packets of a handshake."""
    dice = random.Random(1)
    async with running(tmp_path) as server, neighbour_of(server) as neighbour:
        before = memory(server)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(3000):
                first = bytes([dice.choice([0xC0, 0xD0, 0xE0, 0xF0, 0x40, dice.randrange(256)])])
                version = dice.choice([b"\0\0\0\1", b"\0\0\0\0", dice.randbytes(4)])
                rest = dice.randbytes(dice.choice([0, 1, 20, 1200, 1300]))
                sender.sendto(first + version + b"\x08" + rest, (HOST, server.port))
                if number % 500 == 0:
                    await neighbour.is_served(1)

        assert memory(server) - before < 32 * MIB
        assert complaints(server) == []


async def test_what_follows_a_frame_is_ignored_however_much_it_is(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as server,
        neighbour_of(server),
        connect(HOST, server.port) as hostile,
    ):
        stream = hostile.raw_stream()
        stream.write(STATUS + bytes(MIB))

        assert isinstance(await stream.reply(), GetInstanceStatusResponse)


async def test_a_frame_without_progress_is_refused_and_the_connection_lives() -> None:
    async with MemoryPersistence() as persistence:
        core = Desk(persistence, FrozenClock()).core()

        def handler(_: Connection) -> RequestStreams[Request]:
            session = core.open_session()
            return RequestStreams(
                router(core), requests_of(session), session.close, progress_timeout=0.05
            )

        async with serving(handler) as served, connect(HOST, served.port) as client:
            half = client.raw_stream()
            half.write(STATUS[:-1])

            async with asyncio.timeout(60):
                assert await half.ended() == Reset(1)
                await half.until(lambda stream: stream.stopped is not None)
            assert half.stopped == 1
            answer = await client.request(GetInstanceStatusRequest("nobody"))
            assert isinstance(answer, GetInstanceStatusResponse)
            assert served.listener.tasks == set()
