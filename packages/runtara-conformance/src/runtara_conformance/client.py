"""
A client of the instance protocol, directly on QUIC streams.

Each request is a stream: write a frame, end the stream, and read the answer.

    async with connect("127.0.0.1", 8001) as connection:
        await connection.request(RegisterInstanceRequest("order-17", "acme"))
        print(await connection.request(CheckpointRequest("order-17", "charged", b"42")))
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from aioquic.asyncio.client import connect as connect_quic
from aioquic.asyncio.protocol import QuicConnectionProtocol, QuicStreamHandler
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicProtocolVersion

from runtara_conformance import envelope, frame
from runtara_conformance.message import Message

IDLE_TIMEOUT = 30.0
PING_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended its side in order."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The server reset the stream."""

    code: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class EmptyEnd:
    """The server ended its side without a byte: done, where no response message exists."""


Ending = Ended | Reset | Lost
Reply = Message | EmptyEnd | Reset | Lost


class Stream:
    """One bidirectional stream: sends any bytes, and has exactly the received bytes."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self.received = bytearray()
        self.ending: Ending | None = None
        self.stopped: int | None = None
        self._connection = connection
        self._number = number
        self._changed = asyncio.Event()

    def write(self, data: bytes, *, end: bool = False) -> None:
        """Send the bytes at once, in datagrams of their own, and end this side if asked."""
        self._connection.send(self._number, data, end=end)

    def reset(self, code: int = 0) -> None:
        """Break off this side."""
        self._connection.reset(self._number, code)

    def stop_sending(self, code: int = 0) -> None:
        """Ask the server not to send its answer."""
        self._connection.stop(self._number, code)

    async def until(self, reached: Callable[["Stream"], bool]) -> None:
        """Wait until `reached` is true of this stream; it is looked at after every change."""
        while not reached(self):
            self._changed.clear()
            await self._changed.wait()

    async def ended(self) -> Ending:
        """Wait for the end of any kind; `received` has all bytes that came before."""
        while self.ending is None:
            await self.until(lambda stream: stream.ending is not None)
        return self.ending

    async def reply(self) -> Reply:
        """Wait for the end, and read the answer; raise ValueError if it is no answer."""
        ending = await self.ended()
        if not isinstance(ending, Ended):
            return ending
        if not self.received:
            return EmptyEnd()
        return envelope.unwrap(frame.decode_response(bytes(self.received)))

    def note(self, event: QuicEvent) -> None:
        """Store an event of this stream, and wake the call that waits for it."""
        match event:
            case StreamDataReceived():
                self.received += event.data
                self.ending = Ended() if event.end_stream else self.ending
            case StreamReset():
                self.ending = Reset(event.error_code)
            case StopSendingReceived():
                self.stopped = event.error_code
            case ConnectionTerminated():
                self.ending = self.ending or Lost(event.error_code, event.reason_phrase)
        self._changed.set()


class Connection(QuicConnectionProtocol):
    """A connection: many streams at once, each its own request."""

    def __init__(
        self, quic: QuicConnection, stream_handler: QuicStreamHandler | None = None
    ) -> None:
        super().__init__(quic, stream_handler)
        self.alpn: str | None = None
        self._terminated: ConnectionTerminated | None = None
        self._streams: WeakValueDictionary[int, Stream] = WeakValueDictionary()

    async def request(self, message: Message) -> Reply:
        """Send one request and wait for its answer."""
        return await self.start(message).reply()

    def start(self, message: Message) -> Stream:
        """Send one request and let its answer come when it comes."""
        stream = self.raw_stream()
        stream.write(frame.encode(envelope.wrap(message)), end=True)
        return stream

    def raw_stream(self) -> Stream:
        """Open a stream on which nothing has been written yet."""
        number = self._quic.get_next_available_stream_id()
        # Reserves the number: it is the next available one until something is written on it.
        self._quic.send_stream_data(number, b"")
        stream = Stream(self, number)
        self._streams[number] = stream
        if self._terminated is not None:
            stream.note(self._terminated)
        return stream

    def send(self, number: int, data: bytes, *, end: bool) -> None:
        """Write on a stream and transmit."""
        self._quic.send_stream_data(number, data, end_stream=end)
        self.transmit()

    def reset(self, number: int, code: int) -> None:
        """Reset the sending half of a stream."""
        self._quic.reset_stream(number, code)
        self.transmit()

    def stop(self, number: int, code: int) -> None:
        """Ask the server to stop sending on a stream."""
        self._quic.stop_stream(number, code)
        self.transmit()

    async def keep_alive(self) -> None:
        """Send a PING now and then, for as long as the connection is used."""
        while True:
            await asyncio.sleep(PING_INTERVAL)
            self._quic.send_ping(uid=0)
            self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Hand each event to the stream it speaks of."""
        match event:
            case StreamDataReceived() | StreamReset() | StopSendingReceived():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.note(event)
            case ConnectionTerminated():
                self._terminated = event
                for stream in list(self._streams.values()):
                    stream.note(event)
            case HandshakeCompleted():
                self.alpn = event.alpn_protocol


@asynccontextmanager
async def connect(host: str, port: int) -> AsyncIterator[Connection]:
    """
    Connect by QUIC v1 without ALPN, and accept any certificate; the connection closes on exit.

    Raises ConnectionError if the server refuses or doesn't answer within the idle timeout.
    """
    configuration = QuicConfiguration(
        is_client=True,
        supported_versions=[QuicProtocolVersion.VERSION_1],
        verify_mode=ssl.CERT_NONE,
        idle_timeout=IDLE_TIMEOUT,
    )
    async with connect_quic(
        host, port, configuration=configuration, create_protocol=Connection
    ) as connection:
        assert isinstance(connection, Connection)
        pings = asyncio.create_task(connection.keep_alive())
        try:
            yield connection
        finally:
            pings.cancel()
