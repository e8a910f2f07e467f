"""More of everything than a server should ever see: it serves on."""

import asyncio
import socket
from pathlib import Path
from time import monotonic

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from tests.server.hostile import complaints, memory, neighbour_of, register
from tests.support.server_process import HOST, PATIENCE, running

from runtara_conformance.client import connect
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    PollSignalsRequest,
    PollSignalsResponse,
)

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20


async def test_400_streams_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as server,
        neighbour_of(server),
        connect(HOST, server.port) as connection,
        asyncio.timeout(PATIENCE),
    ):
        await register(connection, "i-1")
        for found in (False, True):
            streams = [
                connection.start(CheckpointRequest("i-1", f"c-{number}", b"%d" % number))
                for number in range(400)
            ]
            replies = [await stream.reply() for stream in streams]

            assert replies == [
                CheckpointResponse(found, b"%d" % number if found else b"") for number in range(400)
            ]


async def test_100_connections_at_once_are_served(tmp_path: Path) -> None:
    all_at_once = asyncio.Barrier(100)

    async def live(port: int, number: int) -> None:
        async with connect(HOST, port) as connection:
            await register(connection, f"i-{number}")
            await all_at_once.wait()
            reply = await connection.request(CheckpointRequest(f"i-{number}", "c-1", b"one"))
            assert reply == CheckpointResponse()
            await all_at_once.wait()

    async with (
        running(tmp_path, RUNTARA_MAX_CONCURRENT_INSTANCES="101") as server,
        neighbour_of(server),
    ):
        async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(live(server.port, number))
        assert complaints(server) == []


async def test_connections_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    """The one slot is free again each time, whatever was under way."""
    async with running(tmp_path, RUNTARA_MAX_CONCURRENT_INSTANCES="2") as server:
        async with neighbour_of(server):
            for number in range(10):
                async with connect(HOST, server.port) as connection:
                    await register(connection, "i-1")
                    connection.start(PollSignalsRequest("i-1", wait_ms=60_000))
                    connection.start(CheckpointRequest("i-1", f"c-{number}", b"x"))
        assert complaints(server) == []


async def test_handshakes_that_are_never_finished_are_refused_beyond_the_bound(
    tmp_path: Path,
) -> None:
    """Connected clients are served meanwhile; what each costs is small, and ends by itself."""
    async with (
        running(tmp_path, RUNTARA_QUIC_MAX_INCOMING="50") as server,
        neighbour_of(server) as neighbour,
    ):
        before = memory(server)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(400):
                sender.sendto(first_datagram(), (HOST, server.port))
                if number % 50 == 0:
                    await neighbour.is_served(1)
        await neighbour.is_served()

        assert memory(server) - before < 32 * MIB
        assert complaints(server) == []


def first_datagram() -> bytes:
    """Give what a client begins with."""
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True))
    now = monotonic()
    quic.connect((HOST, 1), now=now)
    [(datagram, _), *_] = quic.datagrams_to_send(now)
    return datagram


async def test_polls_that_wait_hold_up_no_other_request(tmp_path: Path) -> None:
    async with running(tmp_path) as server, neighbour_of(server) as neighbour:
        async with connect(HOST, server.port) as connection, asyncio.timeout(PATIENCE):
            await register(connection, "i-1")
            polls = [
                connection.start(PollSignalsRequest("i-1", f"c-{number}", 60_000))
                for number in range(300)
            ]
            saved = await connection.request(CheckpointRequest("i-1", "c-1", b"one"))
            await neighbour.is_served()
            now = await connection.request(PollSignalsRequest("i-1"))

        assert saved == CheckpointResponse()
        assert now == PollSignalsResponse()
        assert [poll.received for poll in polls] == [b""] * 300
