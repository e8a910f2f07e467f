import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aioquic.quic.events import HandshakeCompleted
from tests.support.lossy_proxy import lossy_proxy
from tests.support.quic_handlers import Echo, Gated, serving
from tests.support.raw_client import raw_client

from runtara_protocol.quic.driver import BEGUN_AT_ONCE
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_protocol.quic.stream import Stream

MIB = 1024 * 1024


class Refusing(Echo):
    """Answers after the first piece."""

    async def stream(self, stream: Stream) -> None:
        await stream.receive()
        stream.send(b"no")


async def test_a_request_is_answered_on_its_stream() -> None:
    """What goes up a stream comes back down the same one, empty or not."""
    async with serving(Echo) as served, await served.connect() as connection:
        answers = [await connection.exchange(request) for request in (b"a", b"", bytes(5000))]

    assert answers == [b"a", b"", bytes(5000)]


async def test_a_thousand_streams_on_one_connection() -> None:
    """Each of many exchanges under way at once gets its own answer, beyond the announced limit."""
    requests = [b"%d" % number for number in range(1500)]
    async with serving(Echo) as served, await served.connect() as connection:
        answers = await asyncio.gather(*(connection.exchange(request) for request in requests))

    assert answers == requests


async def test_two_hundred_connections() -> None:
    """Connections are served side by side."""
    async with serving(Echo) as served:
        # On a busy machine the handshakes of all take longer than one is given.
        connecting = (served.connect(connect_timeout=60.0) for _ in range(200))
        connections = await asyncio.gather(*connecting)
        answers = await asyncio.gather(
            *(one.exchange(b"%d" % number) for number, one in enumerate(connections))
        )
        for connection in connections:
            await connection.aclose()

    assert answers == [b"%d" % number for number in range(200)]


@pytest.mark.parametrize("size", [4 * MIB, pytest.param(64 * MIB, marks=pytest.mark.long)])
async def test_a_large_frame_goes_up_and_comes_down(size: int) -> None:
    """Up to the largest, 64 MiB and a header, it is carried whole in both directions."""
    request = bytes(range(256)) * (size // 256) + b"header"
    async with serving(Echo) as served, await served.connect() as connection:
        answer = await connection.exchange(request)

    assert answer == request


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


async def test_a_body_follows_its_request() -> None:
    """An upload arrives whole and in order, and the client holds only a part of it."""
    body = b"".join([piece async for piece in pieces(64, 100_000)])
    async with serving(Echo) as served, await served.connect() as connection:
        answer = await connection.upload(b"request", pieces(64, 100_000))

    assert answer == b"request" + body


async def test_a_body_that_fails_resets_its_stream() -> None:
    """The error of a body reaches the caller, and the connection goes on."""

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(10)
        raise OSError("the disk is gone")

    async with serving(Gated) as served, await served.connect() as connection:
        with pytest.raises(OSError, match="the disk is gone"):
            await connection.upload(b"request", broken())
        handler = await served.handler()
        handler.gate.set()
        assert await connection.exchange(b"next") == b"next"


async def test_an_early_answer_ends_the_sending() -> None:
    """A server that answers and reads no further gets no more of the body."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield bytes(100_000)

    async with serving(Refusing) as served, await served.connect() as connection:
        answer = await asyncio.wait_for(connection.upload(b"request", endless()), 20)
        before = sent
        await asyncio.sleep(0.05)

    assert (answer, sent) == (b"no", before)


class Counting(Echo):
    """Notes how many requests it has begun with."""

    begun = 0

    async def stream(self, stream: Stream) -> None:
        """Count it."""
        self.begun += 1
        await super().stream(stream)


async def test_a_burst_of_requests_is_begun_with_in_several_turns() -> None:
    """However many come at once, others are served between them."""
    async with serving(Counting) as served, raw_client(served.port) as client:
        handler = await served.handler()
        for number in range(500):
            client.quic.send_stream_data(4 * number, b"", end_stream=True)
        client.transmit()
        begun = [0]
        async with asyncio.timeout(60):
            while begun[-1] < 500:
                await asyncio.sleep(0)
                begun.append(handler.begun)

    # One iteration may begin some from the socket, some from the queue, and some that were left.
    assert max(b - a for a, b in pairwise(begun)) <= 3 * BEGUN_AT_ONCE


async def test_what_was_asked_before_leaving_is_begun_with() -> None:
    """A client that leaves at once has said what it wanted."""
    async with serving(Counting) as served, raw_client(served.port) as client:
        handler = await served.handler()
        for number in range(200):
            client.quic.send_stream_data(4 * number, b"", end_stream=True)
        client.transmit()
        client.close()
        async with asyncio.timeout(60):
            await handler.is_closed.wait()

        assert handler.begun == 200


async def test_leaving_delivers_the_last_answer_whole() -> None:
    """A listener closes a connection only when what it sent has arrived."""
    request = bytes(5 * MIB)
    async with serving(Gated) as served:
        connection = await served.connect()
        exchange = asyncio.create_task(connection.exchange(request))
        await asyncio.sleep(0)
        handler = await served.handler()
        await handler.received.get()
        handler.gate.set()

    assert await exchange == request
    with pytest.raises(ConnectionLost, match="shutting down"):
        await connection.exchange(b"")


async def test_the_grace_bounds_the_wait_for_handlers(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that doesn't end is cancelled when the grace is over."""
    async with serving(Gated, grace=0.05) as served:
        connection = await served.connect()
        exchange = asyncio.create_task(connection.exchange(b"never"))
        handler = await served.handler()
        await handler.received.get()

    with pytest.raises((ConnectionLost, StreamReset)):
        await exchange
    assert handler.answered.empty()
    assert "1 requests are unfinished" in caplog.text


async def test_leaving_waits_for_no_peer_that_fell_silent() -> None:
    """An answer to a client that was killed does not use up the grace."""
    async with (
        asyncio.timeout(30),
        serving(Gated, grace=3600.0) as served,
        lossy_proxy(("127.0.0.1", served.port), loss=0.0) as (proxy, port),
    ):
        connection = await served.connect(port=port)
        exchange = asyncio.create_task(connection.exchange(b"last words"))
        handler = await served.handler()
        await handler.received.get()
        proxy.loss = 1.0
        handler.gate.set()
        await handler.answered.get()
        await connection.aclose()
        await asyncio.wait([exchange])

    assert isinstance(exchange.exception(), ConnectionLost)


async def test_a_cancelled_exchange_leaves_the_connection_usable() -> None:
    """The request is carried out, its answer dropped, and the next exchange works."""
    async with serving(Gated) as served, await served.connect() as connection:
        exchange = asyncio.create_task(connection.exchange(b"unwanted"))
        handler = await served.handler()
        await handler.received.get()
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        handler.gate.set()

        assert await handler.answered.get() == b"unwanted"
        assert await connection.exchange(b"wanted") == b"wanted"


async def test_a_client_may_stop_reading_before_it_sends() -> None:
    """STOP_SENDING ahead of the request: carried out all the same, and no error."""
    async with (
        asyncio.timeout(60),
        serving(Gated, grace=1.0) as served,
        raw_client(served.port) as client,
    ):
        client.quic.send_stream_data(0, b"fire and")
        client.quic.stop_stream(0, 0)
        client.quic.send_stream_data(0, b" forget", end_stream=True)
        client.transmit()
        handler = await served.handler()
        handler.gate.set()

        assert await handler.answered.get() == b"fire and forget"


class Failing(Echo):
    """Fails at what it was sent."""

    async def stream(self, stream: Stream) -> None:
        """Raise, or refuse."""
        if await stream.receive() == b"refuse":
            stream.refuse()
            stream.send(b"too late")
            with pytest.raises(StreamReset):
                await stream.receive()
        else:
            raise LookupError("a bug")


async def test_a_failing_handler_resets_its_stream_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its client sees code 1, never an empty end; the bug is in the log, with its traceback."""
    async with serving(Failing) as served, await served.connect() as connection:
        with pytest.raises(StreamReset) as raised:
            await connection.exchange(b"")
        assert raised.value.code == 1
        with pytest.raises(StreamReset):
            await connection.exchange(b"")

    assert "LookupError: a bug" in caplog.text


async def test_a_refused_stream_is_reset_with_code_1(caplog: pytest.LogCaptureFixture) -> None:
    """Refusing says nothing in the log, and drops what is sent afterwards."""
    async with serving(Failing) as served, await served.connect() as connection:
        with pytest.raises(StreamReset, match="code 1"):
            await connection.exchange(b"refuse")

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


class Noting(Echo):
    """Notes how its streams fail."""

    def __init__(self, connection: object) -> None:
        super().__init__(connection)  # type: ignore[arg-type]  # Only kept, never used here.
        self.begun = asyncio.Event()
        self.failures: asyncio.Queue[Exception] = asyncio.Queue()

    async def stream(self, stream: Stream) -> None:
        """Read on until it fails."""
        try:
            while await stream.receive():
                self.begun.set()
        except (StreamReset, ConnectionLost) as failure:
            self.failures.put_nowait(failure)
            raise


async def test_a_reset_in_a_request_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """What the client gives up half way ends in StreamReset with its code, and no error log."""
    async with serving(Noting) as served, raw_client(served.port) as client:
        client.quic.send_stream_data(0, b"half a fra")
        client.transmit()
        handler = await served.handler()
        await handler.begun.wait()
        client.quic.reset_stream(0, 7)
        client.transmit()

        failure = await handler.failures.get()

    assert isinstance(failure, StreamReset)
    assert failure.code == 7
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_lost_connection_is_raised_to_open_reads() -> None:
    """`receive` raises ConnectionLost with the reason, and `closed` is called."""
    async with serving(Noting) as served:
        async with raw_client(served.port) as client:
            client.quic.send_stream_data(0, b"half a fra")
            client.transmit()
            handler = await served.handler()
            await handler.begun.wait()

        failure = await handler.failures.get()
        await handler.is_closed.wait()

    assert isinstance(failure, ConnectionLost)


async def test_a_complete_request_outlives_its_connection() -> None:
    """A handler isn't cancelled when its client goes; what it sends then is dropped."""
    async with serving(Gated) as served:
        connection = await served.connect()
        exchange = asyncio.create_task(connection.exchange(b"carry me out"))
        handler = await served.handler()
        await handler.received.get()
        await connection.aclose()
        with pytest.raises(ConnectionLost):
            await exchange
        await handler.is_closed.wait()
        handler.gate.set()

        assert await handler.answered.get() == b"carry me out"


async def test_unidirectional_streams_are_dropped_quietly() -> None:
    """Nothing is served on them, and the connection goes on."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        client.quic.send_stream_data(2, bytes(2 * MIB), end_stream=True)
        client.quic.reset_stream(6, 0)
        client.quic.send_stream_data(0, b"still here", end_stream=True)
        client.transmit()

        assert await client.answer(0) == b"still here"


async def test_the_announced_stream_limits_are_ours() -> None:
    """A client may open 1000 and 100 streams; this fails when aioquic changes where they are."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        limits = client.quic._remote_max_streams_bidi, client.quic._remote_max_streams_uni

    assert limits == (1000, 100)


async def test_no_alpn_on_either_side() -> None:
    """A client that offers none is accepted, and none is chosen."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        completed = next(one for one in client.events if isinstance(one, HandshakeCompleted))

    assert completed.alpn_protocol is None


@pytest.mark.parametrize("seed", [1, 2])
async def test_loss_costs_time_and_nothing_else(seed: int) -> None:
    """With every tenth datagram lost each exchange still gets its whole answer."""
    requests = [bytes([number]) * (1 + 800 * number) for number in range(20)]
    async with (
        # The client's farewell is lost with the proxy; nothing is to be waited for.
        serving(Echo, grace=0.0) as served,
        lossy_proxy(served.listener.address, loss=0.1, seed=seed) as (proxy, port),
        await served.connect(port=port) as connection,
    ):
        answers = await asyncio.gather(*(connection.exchange(one) for one in requests))

    assert answers == requests
    assert proxy.lost > 0


async def test_an_exchange_costs_two_datagrams() -> None:
    """A request and its answer carry the acknowledgements of what came before them."""
    async with (
        serving(Echo, grace=0.0) as served,
        lossy_proxy(served.listener.address, loss=0) as (proxy, port),
        await served.connect(port=port) as connection,
    ):
        await connection.exchange(b"the handshake is behind us")
        before = proxy.passed
        for _ in range(100):
            await connection.exchange(bytes(200))

    # A machine at its limit may pause longer than an acknowledgement can wait.
    assert proxy.passed - before < 250
