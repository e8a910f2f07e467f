"""Packets no client should send: each costs its own connection, and no more than was stated."""

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from aioquic.buffer import Buffer  # type: ignore[attr-defined]  # Public, but not marked so.
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicPacketType,
    QuicProtocolVersion,
    pull_quic_header,
    pull_quic_transport_parameters,
)
from aioquic.tls import ExtensionType
from tests.support.crafted import (
    Hello,
    ack_frame,
    crypto_frame,
    datagram,
    initial,
    packed,
    random_initial,
    reset_frame,
    retire_frame,
    stream_frame,
)
from tests.support.quic_handlers import Echo, Gated, serving
from tests.support.raw_client import RawClient, raw_client

from runtara_protocol.quic import handshakes
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.datapath import LARGEST_DATAGRAM
from runtara_protocol.quic.machine import MOST_CRYPTO, MOST_GAPS, Machine
from runtara_protocol.quic.stream import Stream

HOST = "127.0.0.1"
KIB = 1024


def send(client: RawClient, frames: list[bytes]) -> None:
    """Send these frames in as few packets as hold them."""
    for payload in packed(frames):
        send_one(client, datagram(client.quic, payload))


def send_one(client: RawClient, data: bytes) -> None:
    """Send a datagram that the client's machine knows nothing of."""
    assert client._transport is not None
    client._transport.sendto(data, client.quic.get_peer_address())


async def ended(client: RawClient) -> int:
    """Wait until the server has closed the connection; return its code."""
    await asyncio.wait_for(client.wait_closed(), 60.0)
    return next(one.error_code for one in client.events if isinstance(one, ConnectionTerminated))


@contextmanager
def peer(port: int) -> Iterator[socket.socket]:
    """Give a socket that is no client of anything yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((HOST, port))
        sock.setblocking(False)
        yield sock


async def answer(sock: socket.socket) -> bytes:
    """Return the next datagram that comes back."""
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2000), 60.0)


def close_code(data: bytes, cid: bytes) -> int:
    """Return the code of the CONNECTION_CLOSE in a server's Initial packet."""
    crypto = CryptoPair()
    crypto.setup_initial(cid=cid, is_client=True, version=QuicProtocolVersion.VERSION_1)
    buffer = Buffer(data=data)
    header = pull_quic_header(buffer)
    _, payload, _ = crypto.decrypt_packet(data[: header.packet_length], buffer.tell(), 0)
    frame = Buffer(data=payload)
    assert frame.pull_uint_var() == 0x1C
    return frame.pull_uint_var()


@pytest.fixture
def collected() -> None:
    """Begin without what other tests left."""
    gc.collect()


def machines() -> int:
    """Count the servers' machines that are in memory, with no help of the collector."""
    return sum(isinstance(one, Machine) for one in gc.get_objects())


# Once a connection is established.


async def test_more_gaps_than_loss_makes_end_the_connection() -> None:
    """One-byte frames at every other offset are many times the work of their bytes."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        send(client, [stream_frame(0, 2 * number + 1) for number in range(MOST_GAPS + 1)])

        assert await ended(client) == QuicErrorCode.PROTOCOL_VIOLATION
        async with await served.connect() as other:
            assert await other.exchange(b"fine") == b"fine"


async def test_gaps_are_counted_over_all_streams() -> None:
    """What one stream may have, a thousand may not have each."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        streams = [4 * number for number in range(20)]
        send(client, [stream_frame(one, 2 * at + 1) for one in streams for at in range(30)])

        assert await ended(client) == QuicErrorCode.PROTOCOL_VIOLATION


async def test_gaps_that_are_filled_count_no_more() -> None:
    """A path that swaps packets all day costs no client its connection."""
    most = MOST_GAPS // 2
    async with serving(Echo) as served, raw_client(served.port) as client:
        for stream_id in (0, 4, 8, 12):
            send(client, [stream_frame(stream_id, 2 * at + 1, b"b") for at in range(most)])
            send(client, [stream_frame(stream_id, 2 * at, b"a") for at in range(most)])
            client.quic._get_or_create_stream_for_send(stream_id).sender._buffer_start = 2 * most
            client.quic._streams[stream_id].sender._buffer_stop = 2 * most
            client.quic.send_stream_data(stream_id, b"", end_stream=True)
            client.transmit()

            assert await client.answer(stream_id) == b"ab" * most


async def test_gaps_of_streams_that_were_given_up_count_no_more() -> None:
    """A reset, or our refusal, ends what a stream had waiting."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        for stream_id in range(0, 40, 4):
            send(client, [stream_frame(stream_id, 2 * at + 1) for at in range(100)])
            send(client, [reset_frame(stream_id, 200)])
            await client.ping()

        assert not any(isinstance(one, ConnectionTerminated) for one in client.events)


@pytest.mark.parametrize(
    "frames",
    [
        [ack_frame(1000, 3)] * 20,
        [retire_frame(number) for number in range(8, 40)],
        [b"\x01"] * 600,
    ],
    ids=["acknowledgements", "retired ids", "pings"],
)
async def test_a_packet_of_too_many_frames_ends_the_connection(frames: list[bytes]) -> None:
    """Frames that make much work count for more than others."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        send(client, frames)

        assert await ended(client) == QuicErrorCode.PROTOCOL_VIOLATION


async def test_a_client_may_give_up_as_many_streams_at_once_as_a_packet_holds() -> None:
    """Three hundred waiting calls that are cancelled together are no attack."""
    async with serving(Gated) as served, raw_client(served.port) as client:
        for number in range(300):
            client.quic.send_stream_data(4 * number, b"wait", end_stream=True)
        client.transmit()
        handler = await served.handler()
        for _ in range(300):
            await handler.received.get()
        for number in range(300):
            client.quic.stop_stream(4 * number, 0)
        client.transmit()
        handler.gate.set()
        client.quic.send_stream_data(1200, b"on", end_stream=True)
        client.transmit()

        assert await client.answer(1200) == b"on"


async def test_datagrams_no_path_carries_are_dropped_and_the_bound_is_announced() -> None:
    """The bound on the size bounds the cost of a packet. The server announces the bound."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        send_one(client, datagram(client.quic, stream_frame(0, 0, bytes(3000)), largest=4000))
        client.quic.send_stream_data(4, b"small", end_stream=True)
        client.transmit()
        assert await client.answer(4) == b"small"
        [parameters] = [
            pull_quic_transport_parameters(Buffer(data=data))
            for kind, data in client.quic.tls.received_extensions or []
            if kind == ExtensionType.QUIC_TRANSPORT_PARAMETERS
        ]

    assert parameters.max_udp_payload_size == LARGEST_DATAGRAM


async def test_an_unread_stream_keeps_nothing_in_memory() -> None:
    """What came after a gap is not kept, because its bytes are the client's to send again."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        tracemalloc.start()
        try:
            for stream_id in range(2, 162, 4):
                send(client, [stream_frame(stream_id, 256 * KIB), stream_frame(stream_id, 0)])
                await client.ping()
                send(client, [stream_frame(stream_id, 256 * KIB + 2)])
                await client.ping()
            held, _ = tracemalloc.get_traced_memory()
            connection = served.handlers[0].connection
        finally:
            tracemalloc.stop()

        assert connection.held == 0
        assert held < 1024 * KIB


class HandingBack(Echo):
    """Hands back what has come, and goes on waiting."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.done = asyncio.Event()

    async def stream(self, stream: Stream) -> None:
        """Read a piece."""
        await stream.receive()
        stream.hand_back()
        self.done.set()
        await stream.receive()


async def test_what_came_out_of_order_is_not_handed_back() -> None:
    """It is still held, so the client may not send as much again."""
    async with serving(HandingBack) as served, raw_client(served.port) as client:
        send(client, [stream_frame(0, 256 * KIB), stream_frame(0, 0)])
        handler = await served.handler()
        await handler.done.wait()

        assert handler.connection.held == 256 * KIB


# Before.


@pytest.mark.usefixtures("collected")
async def test_random_bytes_take_no_place() -> None:
    """Only a packet that its key opens begins a handshake, so there is room for a client."""
    async with serving(Echo, max_incoming=4) as served:
        with peer(served.port) as sock:
            for _ in range(50):
                sock.send(random_initial())
        async with await served.connect() as connection:
            assert await connection.exchange(b"in") == b"in"
            assert machines() == 1


@pytest.mark.usefixtures("collected")
async def test_a_forged_source_gets_a_retry_when_many_handshakes_are_under_way() -> None:
    """It can't answer that, so no more is kept for it, and a client that can comes in."""
    hello = Hello()
    async with serving(Echo, max_incoming=8) as served:
        with peer(served.port) as sock:
            for _ in range(30):
                sock.send(hello.datagram())
            kinds = [pull_quic_header(Buffer(data=await answer(sock))).packet_type]
            while kinds.count(QuicPacketType.RETRY) < 26:
                kinds.append(pull_quic_header(Buffer(data=await answer(sock))).packet_type)
            begun = machines()
            async with await served.connect() as ours, raw_client(served.port) as stock:
                assert await ours.exchange(b"in") == b"in"
                stock.quic.send_stream_data(0, b"in as well", end_stream=True)
                stock.transmit()
                assert await stock.answer(0) == b"in as well"

    assert begun == 4


async def test_a_token_of_another_server_is_as_good_as_none() -> None:
    """A client that was sent a Retry before a restart is not refused for it."""
    async with serving(Echo) as served:
        with peer(served.port) as sock:
            quic = stalled_client()
            quic._peer_token = b"of another server, once upon a time"
            sock.send(flight(quic))

            assert pull_quic_header(Buffer(data=await answer(sock))).packet_type in (
                QuicPacketType.INITIAL,
                QuicPacketType.RETRY,
            )


@pytest.mark.usefixtures("collected")
async def test_the_oldest_handshake_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with a real address that never finishes doesn't keep others out for long."""
    monkeypatch.setattr(handshakes, "PATIENCE", 60.0)
    async with serving(Echo, max_incoming=2) as served:
        with peer(served.port) as first, peer(served.port) as second:
            first.send(Hello().datagram())
            await answer(first)
            quic = stalled_client()
            second.send(flight(quic))
            quic.receive_datagram(await answer(second), (HOST, 1), monotonic())
            second.send(flight(quic))
            await answer(second)
            assert machines() == 2
            with pytest.raises(ConnectionError, match="refused"):
                await served.connect()
            # As if the time had passed that a handshake has before it may make room.
            monkeypatch.setattr(handshakes, "PATIENCE", 0.0)

            async with await served.connect() as connection:
                assert await connection.exchange(b"in") == b"in"


@pytest.mark.parametrize(
    "frames",
    [
        [crypto_frame(2 * number + 1, b"x") for number in range(100)],
        [crypto_frame(MOST_CRYPTO + 1, b"x")],
    ],
    ids=["gaps", "far ahead"],
)
async def test_a_hello_in_pieces_is_refused(frames: list[bytes]) -> None:
    """No client needs as many gaps, or as much room, for what it begins with."""
    await _refused([initial(payload, cid=b"hellohel") for payload in packed(frames)])


async def test_a_hello_without_end_is_refused() -> None:
    """It announces 16 MiB and comes in order, so no gap shows what it is."""
    hello = b"\x01\xff\xff\xff" + bytes(20 * KIB)
    frames = [crypto_frame(at, hello[at : at + 1000]) for at in range(0, len(hello), 1000)]
    await _refused(
        [initial(one, cid=b"hellohel", number=number) for number, one in enumerate(frames)]
    )


async def _refused(datagrams: list[bytes]) -> None:
    async with serving(Echo) as served:
        with peer(served.port) as sock:
            for data in datagrams:
                sock.send(data)
            while True:
                data = await answer(sock)
                if data == b"" or _is_close(data):
                    break
        assert close_code(data, b"hellohel") == QuicErrorCode.CRYPTO_BUFFER_EXCEEDED
        async with await served.connect() as other:
            assert await other.exchange(b"fine") == b"fine"


def _is_close(data: bytes) -> bool:
    try:
        close_code(data, b"hellohel")
    except AssertionError:
        return False
    return True


async def test_a_short_datagram_of_another_version_gets_no_answer() -> None:
    """Our answer would be larger than what a forged source had sent for it."""
    async with serving(Echo) as served:
        with peer(served.port) as sock:
            sock.send(b"\xc0\x0a\x0a\x0a\x0a\x08" + bytes(8) + b"\x08" + bytes(8))
            sock.send(random_initial()[:1] + b"\x0a\x0a\x0a\x0a" + random_initial()[5:])
            first = pull_quic_header(Buffer(data=await answer(sock)))
            async with await served.connect() as connection:
                assert await connection.exchange(b"later") == b"later"
            with pytest.raises(BlockingIOError):
                sock.recv(2000)

    assert first.destination_cid != bytes(8)


# Afterwards.


class Forgetful:
    """Keeps no connection."""

    def __init__(self, _: Connection) -> None:
        self.is_closed = asyncio.Event()

    async def stream(self, stream: Stream) -> None:
        """Answer, and raise what there is to raise."""
        while await stream.receive():
            pass
        stream.send(b"done")

    def closed(self) -> None:
        """Note it."""
        self.is_closed.set()


@pytest.mark.usefixtures("collected")
async def test_a_connection_that_is_gone_needs_no_collector() -> None:
    """Its objects go when it does, whether it was closed, lost or never established."""
    gc.disable()
    try:
        async with serving(Forgetful) as served:
            with peer(served.port) as sock:
                sock.send(Hello().datagram())
                await answer(sock)
            async with raw_client(served.port) as client:
                send(client, [stream_frame(0, 1000), stream_frame(4, 0)])
                await client.ping()
            for _ in range(3):
                async with await served.connect() as connection:
                    assert await connection.exchange(b"") == b"done"
            for handler in served.handlers:
                await handler.is_closed.wait()
            for one in [*served.listener._handshakes]:
                one.close("enough")
            del one
            await asyncio.sleep(0.1)

            alive = [one for one in gc.get_objects() if isinstance(one, Machine | Connection)]
            assert [type(one) for one in alive] == []
    finally:
        gc.enable()


def stalled_client() -> QuicConnection:
    """Give a client that sends what `flight` returns, and nothing by itself."""
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True))
    quic.connect((HOST, 1), now=monotonic())
    return quic


def flight(quic: QuicConnection) -> bytes:
    """Return the next datagram of a client."""
    [(data, _), *_] = quic.datagrams_to_send(monotonic())
    return data


@pytest.mark.usefixtures("collected")
async def test_a_first_datagram_sent_again_opens_nothing_more() -> None:
    """A client that waits for its answer repeats what it began with; it has one connection."""
    async with serving(Echo) as served:
        with peer(served.port) as sock:
            hello = Hello().datagram()
            for _ in range(3):
                sock.send(hello)
            await answer(sock)

            assert machines() == 1
