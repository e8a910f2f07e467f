"""
Attack a server: `python -m tests.hostile.attacks NAME PORT`, until it is killed.

It says so on its output once the attack has begun.
"""

import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from itertools import count, cycle
from time import monotonic, sleep

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StreamDataReceived,
)
from tests.server.hostile import framed
from tests.support.crafted import (
    Hello,
    ack_frame,
    crypto_frame,
    datagram,
    initial,
    packed,
    random_initial,
    retire_frame,
    stream_frame,
)

from runtara_conformance import frame
from runtara_conformance.messages import (
    CheckpointRequest,
    GetCheckpointRequest,
    RegisterInstanceRequest,
)

HOST = "127.0.0.1"
LARGEST = 63 << 20
ASKS_FOR_LARGEST = framed(GetCheckpointRequest("large", "c-1"))
KIB = 1024


class Peer:
    """A connection of an attacker: a real handshake, then whatever it likes."""

    def __init__(self, port: int) -> None:
        self._sock = sender(port)
        self.quic = QuicConnection(
            configuration=QuicConfiguration(is_client=True, verify_mode=ssl.CERT_NONE)
        )
        self.is_established = False
        self.is_closed = False
        self.answered: set[int] = set()
        self.quic.connect((HOST, port), monotonic())
        self._port = port

    def ask(self, request: bytes) -> int:
        """Queue a request on a stream of its own; give the stream's id."""
        stream_id = self.quic.get_next_available_stream_id()
        self.quic.send_stream_data(stream_id, request, end_stream=True)
        return stream_id

    def flush(self) -> None:
        """Send what the machine has to send."""
        for data, _ in self.quic.datagrams_to_send(monotonic()):
            push(self._sock, data)

    def pump(self) -> None:
        """Send what the machine has to send, and take in what has come."""
        data: bytes | None
        self.flush()
        while (data := pull(self._sock)) is not None:
            self.quic.receive_datagram(data, (HOST, self._port), monotonic())
        at = self.quic.get_timer()
        if at is not None and at <= monotonic():
            self.quic.handle_timer(monotonic())
        while (event := self.quic.next_event()) is not None:
            self._on_event(event)
        self.is_closed = self.is_closed or self.quic._close_event is not None

    def send(self, payload: bytes) -> None:
        """Send a packet that no client would build."""
        push(self._sock, datagram(self.quic, payload))

    def close(self) -> None:
        """Leave without a word."""
        self._sock.close()

    def _on_event(self, event: QuicEvent) -> None:
        self.is_established = self.is_established or isinstance(event, HandshakeCompleted)
        self.is_closed = self.is_closed or isinstance(event, ConnectionTerminated)
        if isinstance(event, StreamDataReceived) and event.end_stream:
            self.answered.add(event.stream_id)


def sender(port: int) -> socket.socket:
    """Give a socket that sends there, and waits for nothing."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect((HOST, port))
    return sock


def push(sock: socket.socket, data: bytes) -> None:
    """Send, or lose it."""
    try:
        sock.send(data)
    except (BlockingIOError, ConnectionRefusedError):
        return


def pull(sock: socket.socket) -> bytes | None:
    """Return what has come, if anything has."""
    try:
        return sock.recv(65_535)
    except (BlockingIOError, ConnectionRefusedError):
        return None


def established(port: int) -> Peer:
    """Connect, however often that has to be tried."""
    while True:
        peer = Peer(port)
        until = monotonic() + 2.0
        while not peer.is_closed and monotonic() < until:
            peer.pump()
            if peer.is_established:
                peer.pump()
                return peer
        peer.close()


def repeated(port: int, payloads: Callable[[], Iterator[bytes]]) -> Iterator[None]:
    """Send these from one connection after the other, each for as long as it lasts."""
    while True:
        peer = established(port)
        yield
        for number, payload in enumerate(payloads()):
            peer.send(payload)
            if number % 16 == 0:
                peer.pump()
            if peer.is_closed:
                break
        peer.close()


def tiny_stream_frames(port: int) -> Iterator[None]:
    """One byte at every other offset."""
    frames = [stream_frame(0, 2 * at + 1) for at in range(200 * KIB)]
    return repeated(port, lambda: iter(packed(frames)))


def gaps_below_the_bound(port: int) -> Iterator[None]:
    """Four hundred gaps, and bytes that have come already, again and again."""
    frames = [stream_frame(0, 2 * at + 1) for at in range(400)]
    return repeated(port, lambda: cycle(packed(frames)))


def tiny_crypto_frames(port: int) -> Iterator[None]:
    """The same before any handshake."""
    payloads = packed([crypto_frame(2 * at + 1, b"x") for at in range(4 * KIB)])
    with sender(port) as sock:
        while True:
            cid = os.urandom(8)
            for number, payload in enumerate(payloads):
                push(sock, initial(payload, cid=cid, number=number))
            yield


def endless_hellos(port: int) -> Iterator[None]:
    """A ClientHello of 16 MiB, in order."""
    with sender(port) as sock:
        while True:
            cid = os.urandom(8)
            for number in range(100):
                data = (b"\x01\xff\xff\xff" if number == 0 else b"") + bytes(1000)
                at = 0 if number == 0 else number * 1000 + 4
                push(sock, initial(crypto_frame(at, data), cid=cid, number=number))
            yield


def forged_hellos(port: int) -> Iterator[None]:
    """First datagrams that nothing follows."""
    hello = Hello()
    with sender(port) as sock:
        while True:
            push(sock, hello.datagram())
            yield


def random_datagrams(port: int) -> Iterator[None]:
    """Headers of first datagrams, with random bytes around them."""
    with sender(port) as sock:
        while True:
            push(sock, random_initial())
            yield


def acknowledgements(port: int) -> Iterator[None]:
    """Packets full of ranges."""
    return repeated(port, lambda: cycle([ack_frame(4000, 550)]))


def dear_frames(port: int) -> Iterator[None]:
    """As many connection ids retired as may be, and more."""
    return repeated(port, lambda: (retire_frame(1 + at) * 1 for at in count()))


def pings(port: int) -> Iterator[None]:
    """Packets of as many frames as are allowed."""
    return repeated(port, lambda: cycle([b"\x01" * 500]))


def small_datagrams(port: int) -> Iterator[None]:
    """A PING a datagram, as fast as they go."""
    return repeated(port, lambda: cycle([b"\x01\x00\x00\x00"]))


def waiting_streams(port: int) -> Iterator[None]:
    """A thousand streams with half a header each, walked by each packet that follows."""
    opened = packed([stream_frame(4 * number, 0, b"\0\0") for number in range(1000)])
    return repeated(port, lambda: iter([*opened, *[b"\x01\x00\x00\x00"] * 20_000]))


def uploads(port: int) -> Iterator[None]:
    """Forty connections that send large requests at line rate."""
    peers = [established(port) for _ in range(40)]
    while True:
        for index, peer in enumerate(peers):
            if peer.is_closed:
                peer.close()
                peers[index] = peer = established(port)
            if all(one.sender.buffer_is_empty for one in peer.quic._streams.values()):
                data = (4 << 20).to_bytes(4, "big") + b"\0\x01" + bytes(4 << 20)
                peer.ask(data)
            peer.pump()
        yield


def connections(port: int) -> Iterator[None]:
    """One handshake after the other, each connection left open."""
    peers = []
    while True:
        peers.append(established(port))
        yield
        if len(peers) > 500:
            peers.pop(0).close()


def halves(port: int) -> Iterator[None]:
    """Requests that announce 4 MiB and stop after 16 KiB, from one connection after the other."""
    data = (4 << 20).to_bytes(4, "big") + b"\0\x01" + bytes(16 * KIB)
    while True:
        peer = established(port)
        for _ in range(20):
            peer.quic.send_stream_data(peer.quic.get_next_available_stream_id(), data)
        for _ in range(50):
            peer.pump()
            yield
        peer.close()


def handshakes(port: int) -> Iterator[None]:
    """One handshake after the other, each connection ended at once."""
    while True:
        peer = established(port)
        peer.quic.close()
        peer.flush()
        peer.close()
        yield


def streams(port: int) -> Iterator[None]:
    """As many streams as may be open, each with a request that says nothing."""
    empty = frame.encode(b"")
    while True:
        peer = established(port)
        while not peer.is_closed:
            while len(peer.quic._streams) < 900:
                peer.ask(empty)
            peer.pump()
            yield
        peer.close()


def slow_readers(port: int) -> Iterator[None]:
    """Three connections that ask for a state of 63 MiB again and again, and read nothing of it."""
    writer = established(port)
    for request in (
        RegisterInstanceRequest("large", "t-1"),
        CheckpointRequest("large", "c-1", bytes(LARGEST)),
    ):
        stream_id = writer.ask(framed(request))
        while stream_id not in writer.answered:
            writer.pump()
    readers = [established(port) for _ in range(3)]
    for reader in readers:
        for _ in range(8):
            reader.ask(ASKS_FOR_LARGEST)
        reader.flush()
    while True:
        yield
        sleep(0.1)  # They are slow.


ATTACKS: dict[str, Callable[[int], Iterator[None]]] = {
    attack.__name__: attack
    for attack in (
        tiny_stream_frames,
        gaps_below_the_bound,
        tiny_crypto_frames,
        endless_hellos,
        forged_hellos,
        random_datagrams,
        acknowledgements,
        dear_frames,
        pings,
        small_datagrams,
        waiting_streams,
        uploads,
        connections,
        halves,
        handshakes,
        streams,
        slow_readers,
    )
}


def main(name: str, port: int) -> None:
    """Attack until killed."""
    for number, _ in enumerate(ATTACKS[name](port)):
        if number == 0:
            sys.stdout.write("it has begun\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
