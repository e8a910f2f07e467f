"""Clients that ask for large answers and read nothing of them, or little."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.server.hostile import framed, most_memory, neighbour_of, register
from tests.server.test_hostile_readers import read_no_more
from tests.server.wire import Wire, all_connected, connected
from tests.support.raw_client import RawClient, raw_client
from tests.support.server_process import HOST, PATIENCE, ServerProcess, running

from runtara_conformance.client import connect
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
)
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import StreamReset

MIB = 1 << 20
LARGEST = 63 * MIB
MOST = 65 * MIB
ID = "i-1"


@asynccontextmanager
async def stalled_readers(server: ServerProcess, count: int) -> AsyncIterator[list[RawClient]]:
    """Have clients ask for large answers again and again, and take no more than at the start."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(server.port)) for _ in range(count)]
        for client in clients:
            read_no_more(client)
            for number in range(25):
                asked = framed(GetCheckpointRequest(ID, "large"))
                client.quic.send_stream_data(4 * number, asked, end_stream=True)
            client.transmit()
        yield clients


async def fetched(wire: Wire, checkpoint_id: str = "large") -> pb.GetCheckpointResponse:
    """Read a large state, asking again while there is no room, as clients do."""
    while True:
        message = pb.GetCheckpointRequest(instance_id=ID, checkpoint_id=checkpoint_id)
        answer = await wire.ask(pb.RpcRequest(get_checkpoint=message))
        if not answer.HasField("error"):
            return answer.get_checkpoint
        assert answer.error.code == "OVERLOADED"


async def test_slow_readers_keep_no_other_client_from_small_answers_nor_for_long_from_large_ones(
    tmp_path: Path,
) -> None:
    """Registrations and checkpoints go on; the slow one that holds most makes room."""
    large, smaller = bytes(4 * MIB), bytes(MIB // 16)
    async with running(tmp_path, RUNTARA_MAX_UNDELIVERED_BYTES=str(MOST)) as server:
        async with connect(HOST, server.port) as writer:
            await register(writer, ID)
            for name, state in (("large", large), ("smaller", smaller)):
                saved = await writer.request(CheckpointRequest(ID, name, state))
                assert saved == CheckpointResponse()
        async with (
            neighbour_of(server) as neighbour,
            stalled_readers(server, 3),
            connected(server.port) as wire,
            connect(HOST, server.port) as newcomer,
        ):
            number = 0
            while not any("client disconnected" in line for line in server.lines):
                number += 1
                registered = await newcomer.request(RegisterInstanceRequest(f"i-{number}", "t-1"))
                assert isinstance(registered, RegisterInstanceResponse)
                assert registered.success
                async with asyncio.timeout(PATIENCE):
                    assert (await fetched(wire, "smaller")).state == smaller
            await neighbour.is_served(10)


@pytest.mark.long
async def test_honest_clients_that_fetch_more_than_there_is_room_for_all_get_it(
    tmp_path: Path,
) -> None:
    """Twelve fetch the largest state at once; others are served, and memory is bounded."""
    async with running(tmp_path) as server:
        async with connected(server.port) as writer:
            await writer.register(ID)
            await writer.checkpoint(ID, "large", bytes(LARGEST))
        async with neighbour_of(server) as neighbour, all_connected([server.port] * 12) as wires:
            fetching = [asyncio.create_task(fetched(wire)) for wire in wires]
            await neighbour.is_served(3)
            async with asyncio.timeout(280):
                found = await asyncio.gather(*fetching)
        most = most_memory(server)

    assert {len(each.state) for each in found} == {LARGEST}
    assert most < (512 + 128 + 8 * 64) * MIB


@pytest.mark.long
async def test_the_largest_request_and_answer_fit_the_least_bounds(tmp_path: Path) -> None:
    """Two of them at once, too: each waits for the other, or asks again."""
    least = str(MOST)
    async with (
        running(
            tmp_path, RUNTARA_MAX_RECEIVE_BYTES=least, RUNTARA_MAX_UNDELIVERED_BYTES=least
        ) as server,
        all_connected([server.port] * 2) as wires,
    ):
        await wires[0].register(ID)
        async with asyncio.timeout(280):
            await asyncio.gather(
                *(saved(wire, f"large-{number}") for number, wire in enumerate(wires))
            )
            await wires[0].checkpoint(ID, "large", bytes(LARGEST))
            found = await asyncio.gather(*(fetched(wire) for wire in wires))

    assert {len(each.state) for each in found} == {LARGEST}


async def saved(wire: Wire, checkpoint_id: str) -> None:
    """Save a largest state, again when its stream was given up for another's."""
    while True:
        with suppress(StreamReset):
            answer = await wire.checkpoint(ID, checkpoint_id, bytes(LARGEST))
            assert answer.HasField("checkpoint")
            return
