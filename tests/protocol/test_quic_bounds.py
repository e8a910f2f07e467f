import asyncio

from tests.support.quic_handlers import Echo, Served, read_all, serving
from tests.support.raw_client import RawClient, raw_client

from runtara_protocol.quic.budget import AHEAD
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.stream import Stream

MIB = 1024 * 1024
HALF = MIB
MOST = 13 * MIB // 4


class Holding(Echo):
    """Reads to the end, keeps what it read, and notes how far each stream has come."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.gate = asyncio.Event()
        self.received: asyncio.Queue[int] = asyncio.Queue()

    async def stream(self, stream: Stream) -> None:
        """Take it all, wait, answer with its size."""
        request = await read_all(stream)
        self.received.put_nowait(len(request))
        await self.gate.wait()
        stream.send(b"%d" % len(request))


async def _limit(client: RawClient) -> int:
    """Return how much the server has allowed in all, after it has acknowledged everything."""
    await client.ping()
    return client.quic._remote_max_data


async def test_a_gap_is_not_worth_more_than_the_allowance() -> None:
    """One byte far ahead claims the window and allocates no more than that; it isn't extended."""
    async with serving(Echo) as served, raw_client(served.port) as client:
        sender = client.quic._get_or_create_stream_for_send(0).sender
        sender._buffer_start = sender._buffer_stop = AHEAD - 1
        client.quic.send_stream_data(0, b"x")
        client.transmit()
        first = await _limit(client)

    assert first <= 3 * AHEAD


async def test_what_was_handled_may_be_sent_again() -> None:
    """Over its life a connection sends any amount, each request being let go when answered."""
    async with serving(Echo) as served, await served.connect() as connection:
        for _ in range(6):
            assert len(await connection.exchange(bytes(MIB))) == MIB
            assert served.handlers[0].connection.held <= MIB

        assert served.handlers[0].connection.held <= AHEAD


class HandingBack(Holding):
    """Keeps nothing of what it read while it waits."""

    async def stream(self, stream: Stream) -> None:
        """Take it all, hand it back, wait, answer."""
        request = await read_all(stream)
        stream.hand_back()
        self.received.put_nowait(len(request))
        await self.gate.wait()
        stream.send(b"done")


async def test_what_was_handed_back_may_be_sent_again_before_it_is_answered() -> None:
    """Any number of requests may await answers: no bound counts them."""
    async with (
        serving(HandingBack, max_held=2 * MIB, max_held_each=3 * MIB) as served,
        await served.connect() as connection,
    ):
        begun, received = [], []
        for _ in range(6):
            begun.append(asyncio.create_task(connection.exchange(bytes(MIB))))
            handler = await served.handler()
            received.append(await handler.received.get())
        held = handler.connection.held
        handler.gate.set()
        answers = await asyncio.gather(*begun)

    assert received == [MIB] * 6
    assert held <= AHEAD
    assert answers == [b"done"] * 6


async def test_of_half_received_requests_the_youngest_is_refused() -> None:
    """Four unfinished requests fill a connection; the last is refused, the first can finish."""
    async with serving(Holding, max_held_each=MOST) as served, raw_client(served.port) as client:
        for stream_id in (0, 4, 8, 12):
            client.quic.send_stream_data(stream_id, bytes(HALF))
        client.transmit()

        code = await client.reset(12)
        handler = served.handlers[0]
        assert handler.connection.held <= MOST
        client.quic.send_stream_data(0, b"", end_stream=True)
        client.transmit()
        assert await handler.received.get() == HALF
        handler.gate.set()
        assert await client.answer(0) == b"%d" % HALF

    assert code == 1


async def test_the_bound_on_all_refuses_the_youngest_connections_request() -> None:
    """An older connection's request comes to its end though a younger one has filled the pool."""
    async with (
        serving(Holding, max_held=4 * MIB) as served,
        raw_client(served.port) as old,
        raw_client(served.port) as young,
    ):
        old.quic.send_stream_data(0, bytes(2 * MIB))
        old.transmit()
        await _held(served, 2 * MIB)
        young.quic.send_stream_data(0, bytes(8 * MIB))
        young.transmit()

        assert await young.reset(0) == 1
        old.quic.send_stream_data(0, bytes(MIB), end_stream=True)
        old.transmit()
        handler = await served.handler()
        handler.gate.set()
        assert await old.answer(0) == b"%d" % (3 * MIB)


async def test_without_memory_the_client_that_holds_most_is_given_up() -> None:
    """It goes with the one whose datagram found no memory; a client that holds little stays."""
    met: list[Connection] = []

    def make(connection: Connection) -> Holding:
        met.append(connection)
        if len(met) == 3:
            raise MemoryError
        return Holding(connection)

    async with (
        serving(make) as served,
        raw_client(served.port) as greedy,
        await served.connect() as modest,
    ):
        greedy.quic.send_stream_data(0, bytes(MIB))
        greedy.transmit()
        await _held(served, MIB)
        async with await served.connect():
            await served.handlers[0].is_closed.wait()
        served.handlers[1].gate.set()

        assert await modest.exchange(b"little") == b"6"
        assert [one.is_closed for one in met] == [True, False, True]


async def test_a_wait_for_the_pool_ends_when_it_has_room() -> None:
    """A request that found the pool full is taken in once another's is answered."""
    async with (
        serving(Holding, max_held=2 * MIB) as served,
        await served.connect() as first,
    ):
        begun = asyncio.create_task(first.exchange(bytes(2 * MIB)))
        handler = await served.handler()
        assert await handler.received.get() == 2 * MIB
        again = asyncio.create_task(first.exchange(bytes(2 * MIB)))
        await _held(served, 2 * MIB + AHEAD // 2)
        handler.gate.set()

        assert await begun == await again == b"%d" % (2 * MIB)


class Flood(Echo):
    """Answers each request with much more than it asked with."""

    async def stream(self, stream: Stream) -> None:
        """Send 1 MiB."""
        await read_all(stream)
        stream.send(bytes(MIB))


async def test_a_client_that_reads_nothing_overloads_its_connection() -> None:
    """What waits for delivery is counted, a connection's and all of them, and counted down."""
    async with (
        serving(Flood, max_undelivered=2 * MIB, max_undelivered_each=MIB) as served,
        await served.connect() as connection,
    ):
        exchanges = [asyncio.create_task(connection.exchange(b"")) for _ in range(3)]
        handler = await served.handler()
        assert handler.connection.has_room()
        while not handler.connection.is_overloaded():
            await asyncio.wait(exchanges, return_when=asyncio.FIRST_COMPLETED, timeout=0)
        while handler.connection.has_room():
            await asyncio.wait(exchanges, return_when=asyncio.FIRST_COMPLETED, timeout=0)
        await asyncio.gather(*exchanges)
        # The client's last acknowledgement has no event.
        while not handler.connection.is_delivered:  # noqa: ASYNC110  As said.
            await asyncio.sleep(0)

        assert not handler.connection.is_overloaded()
        assert handler.connection.has_room()


async def _held(served: Served[Holding], size: int) -> None:
    """Wait until all connections together hold so much."""
    # There is no event for data that is only half received.
    while sum(one.connection.held for one in served.handlers) < size:  # noqa: ASYNC110  As said.
        await asyncio.sleep(0)
