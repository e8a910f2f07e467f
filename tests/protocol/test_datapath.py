import asyncio
import socket
from collections.abc import AsyncIterator
from time import thread_time

import pytest

from runtara_protocol.quic.datapath import BATCH, LARGEST_DATAGRAM, Datapath, Endpoint, bind
from runtara_protocol.quic.fair_queue import Address

HOST = "127.0.0.1"


class Noting(Endpoint):
    """Notes what it is given, in a list it shares with others, and takes no time for it."""

    def __init__(self, notes: list["Noting"]) -> None:
        super().__init__()
        self.notes = notes
        self.has_transmitted = False

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Note it."""
        self.notes.append(self)

    def process(self, now: float) -> None:
        """Do nothing."""

    def transmit(self, now: float) -> None:
        """Note it."""
        self.is_scheduled = False
        self.has_transmitted = True

    def crash(self) -> None:
        """Say where the error was."""
        pytest.fail("it crashed")


@pytest.fixture
async def sock() -> AsyncIterator[socket.socket]:
    sock = await bind(HOST, 0, 2 << 20, 0)
    yield sock
    sock.close()


async def _received(sock: socket.socket, sent: list[bytes]) -> list[bytes]:
    """Send these before the loop looks; return the first byte of each as it was given out."""
    notes: list[Noting] = []
    endpoints = {one[:1]: Noting(notes) for one in sent}
    names = {endpoint: name for name, endpoint in endpoints.items()}
    datapath = Datapath(sock, lambda data, _: endpoints[data[:1]], lambda _: None)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in sent:
                sender.sendto(data, sock.getsockname())
        async with asyncio.timeout(60):
            # Only the receiver knows of datagrams.
            while len(notes) < sum(  # noqa: ASYNC110  As said.
                len(data) <= LARGEST_DATAGRAM for data in sent
            ):
                await asyncio.sleep(0)
    finally:
        datapath.close()
    return [names[endpoint] for endpoint in notes]


async def test_one_datagram_waits_for_no_backlog_of_others(sock: socket.socket) -> None:
    """However much one peer has sent before, another's is taken in within the first iteration."""
    order = await _received(sock, [b"upload" * 20] * 150 + [b"call"])

    assert order.index(b"c") < BATCH


async def test_all_of_a_backlog_is_taken_in(sock: socket.socket) -> None:
    """An iteration of the loop is bounded; the next takes in what it leaves."""
    order = await _received(sock, [b"a" * 100] * 100 + [b"b" * 100] * 100)

    assert order.count(b"a") == order.count(b"b") == 100


async def test_what_takes_long_leaves_the_rest_to_the_next_turn(sock: socket.socket) -> None:
    """However few datagrams have come, timers wait for one iteration of the loop at most."""

    class Slow(Noting):
        def receive(self, data: bytes, address: Address, now: float) -> None:
            super().receive(data, address, now)
            until = thread_time() + 0.006
            while thread_time() < until:
                pass

    slow = Slow([])
    datapath = Datapath(sock, lambda _data, _address: slow, lambda _: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"dear", sock.getsockname())
    iterations = [0]
    async with asyncio.timeout(60):
        while iterations[-1] < 3:
            await asyncio.sleep(0)
            iterations.append(len(slow.notes))
    datapath.close()

    assert {0, 1, 2, 3} == set(iterations)


async def test_what_is_too_long_is_nobodys(sock: socket.socket) -> None:
    """It is dropped before its connection is looked up."""
    order = await _received(sock, [b"x" * (LARGEST_DATAGRAM + 1), b"y" * LARGEST_DATAGRAM])

    assert order == [b"y"]


async def test_all_that_are_scheduled_transmit_though_they_take_long(sock: socket.socket) -> None:
    """An iteration is bounded for sending too; the others follow in the next."""

    class Slow(Noting):
        def transmit(self, now: float) -> None:
            super().transmit(now)
            until = thread_time() + 0.006
            while thread_time() < until:
                pass

    datapath = Datapath(sock, lambda _data, _address: None, lambda _: None)
    slow = [Slow([]) for _ in range(3)]
    for endpoint in slow:
        datapath.schedule(endpoint)
    iterations = []
    for _ in range(5):
        await asyncio.sleep(0)
        iterations.append(sum(endpoint.has_transmitted for endpoint in slow))
    datapath.close()

    assert iterations[0] < iterations[-1] == 3
