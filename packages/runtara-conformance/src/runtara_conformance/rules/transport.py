"""The transport: one stream a request, many at once, each on its own."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from runtara_conformance import envelope, frame
from runtara_conformance.expect import answered, eventually, expect, same
from runtara_conformance.messages import (
    CheckpointRequest,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("transport", Tier.SLICE)

SOON = 5.0


async def kept(one: Instance, checkpoint_id: str) -> bytes | None:
    """Return the state of a checkpoint, None while there is none."""
    answer = await one.get(checkpoint_id)
    return answer.state if answer.found else None


@rule("no ALPN on either side: a client that offers none must be accepted")
async def a_client_without_alpn_is_accepted(server: Server) -> None:
    async with server.connect() as connection:
        await connection.ping()
        same("the negotiated ALPN", connection.alpn, None)


@rule("Many streams at once on a connection")
async def many_streams_at_once(server: Server) -> None:
    async with server.connect() as connection:
        asked = [fresh() for _ in range(200)]
        replies = await asyncio.gather(
            *(connection.request(GetInstanceStatusRequest(each)) for each in asked)
        )
        answers = [answered(reply, GetInstanceStatusResponse) for reply in replies]
        same("each stream's own answer", [each.instance_id for each in answers], asked)


@rule("Many streams at once: an unfinished one holds up no other")
async def an_open_stream_holds_up_no_other(server: Server) -> None:
    async with server.instance() as one:
        opened = [one.connection.raw_stream() for _ in range(20)]
        for stream in opened:
            stream.write(b"\x00\x00")
        await one.saves("a", b"1")

        expect("the others still open", all(each.ending is None for each in opened), opened)


@rule("A client may drop the receiving half at once: its request is carried out all the same")
async def a_dropped_receiving_half_is_no_error(server: Server) -> None:
    async with server.instance() as one:
        for number in range(5):
            request = CheckpointRequest(one.id, f"dropped {number}", b"kept")
            one.connection.start(request).stop_sending(0)

        for number in range(5):
            state = await eventually(SOON, "the checkpoint", _keeping(one, f"dropped {number}"))
            same("its state", state, b"kept")


@rule("A client may drop the receiving half at once (before it writes)")
async def a_receiving_half_dropped_first(server: Server) -> None:
    async with server.instance() as one:
        stream = one.connection.raw_stream()
        stream.stop_sending(0)
        request = CheckpointRequest(one.id, "dropped", b"kept")
        stream.write(frame.encode(envelope.wrap(request)), end=True)

        state = await eventually(SOON, "the checkpoint", _keeping(one, "dropped"))
        same("its state", state, b"kept")


@rule("A complete request is carried out though its connection is gone meanwhile")
async def a_request_outlives_its_connection(server: Server) -> None:
    async with server.instance() as one:
        async with server.connect() as leaving:
            for number in range(5):
                leaving.start(CheckpointRequest(one.id, f"left {number}", b"kept"))
            leaving.close()

        for number in range(5):
            await eventually(SOON, "the checkpoint", _keeping(one, f"left {number}"))


@rule("an old client reconnects: what one connection wrote another reads")
async def connections_see_the_same(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        async with server.connect() as other:
            same("the state", await kept(one.on(other), "a"), b"1")
            await one.on(other).is_in(Status.RUNNING)


@rule("Let one client's bad bytes hurt another: never (datagrams that are no QUIC)")
async def stray_datagrams_hurt_nobody(server: Server) -> None:
    async with server.instance() as one:
        address = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(address[0], socket.SOCK_DGRAM) as stray:
            for size in (0, 1, 20, 1200, 1400):
                stray.sendto(os.urandom(size), address[4])
                stray.sendto(b"\xc0\x00\x00\x00\x01" + os.urandom(size), address[4])
        await one.saves("a", b"1")

        async with server.connect() as other:
            same("the state", await kept(one.on(other), "a"), b"1")


@rule("Let one client's bad bytes hurt another: never (a connection full of them)")
async def one_connections_trouble_stays_its_own(server: Server) -> None:
    async with server.instance() as one, server.connect() as bad:
        for number in range(50):
            stream = bad.raw_stream()
            stream.write(os.urandom(30 + number), end=True)
            await one.saves(f"step {number}", b"1")


def _keeping(one: Instance, checkpoint_id: str) -> Callable[[], Awaitable[bytes | None]]:
    return lambda: kept(one, checkpoint_id)
