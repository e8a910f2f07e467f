"""A QUIC client that sends a request's bytes on a stream and returns the answer's bytes."""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode, QuicProtocolVersion
from aioquic.tls import AlertDescription

from runtara_domain.record import record
from runtara_protocol.quic.addresses import numeric, resolved
from runtara_protocol.quic.datapath import Datapath, set_buffers
from runtara_protocol.quic.driver import Driver
from runtara_protocol.quic.error import (
    ConnectError,
    ConnectionLost,
    StreamReset,
    TrustFailure,
    UntrustedServer,
)
from runtara_protocol.quic.fair_queue import Address
from runtara_protocol.quic.machine import ClientMachine

UDP_BUFFER = 2 << 20
UNACKNOWLEDGED = 2 << 20
"""The most bytes of a body that a connection holds, besides the last chunk."""

_UNTRUSTED = QuicErrorCode.CRYPTO_ERROR + AlertDescription.bad_certificate
_OUT_OF_TIME = QuicErrorCode.CRYPTO_ERROR + AlertDescription.certificate_expired

_NAME_IN_PATTERN = re.compile(r"pattern=(?:\w+\()?b?'([^']+)'")
"""The form in which aioquic shows a certificate's names."""


@record(kw_only=True)
class ClientSettings:
    """The server's address, and its trusted certificates; times in seconds."""

    host: str
    port: int
    # The name that the server's certificate must have.
    server_name: str = "localhost"
    # PEM certificates of the authorities to trust; None: the system's usual ones.
    ca_path: Path | None = None
    # False: every certificate is accepted.
    verify: bool = True
    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    keep_alive: float = 10.0


async def connect(settings: ClientSettings) -> "ClientConnection":
    """
    Return an established connection.

    A name's addresses are tried one after the other, each for its share of the time. Raises
    ConnectError with the reason for each address: the name is unknown, nothing listens, no answer
    came in time, or the server refused. Raises UntrustedServer if a server was reached whose
    certificate is not trusted, has another name, or is not valid now.
    """
    infos = await resolved(settings.host, settings.port)
    until = monotonic() + (remaining := settings.connect_timeout)
    reasons: list[str] = []
    why: TrustFailure | None = None
    for left, (family, address) in zip(range(len(infos), 0, -1), infos, strict=True):
        try:
            return await _connected(settings, family, address, remaining / left)
        except ConnectError as error:
            remaining = until - monotonic()
            at = "" if address[0] == settings.host else f"{address[0]}: "
            reasons.append(f"{at}{error}")
            cause = error
            why = error.why if isinstance(error, UntrustedServer) else why
    message = f"{_where(settings)}: {'; '.join(reasons)}"
    raise (ConnectError(message) if why is None else UntrustedServer(message, why)) from cause


def prepare(settings: ClientSettings) -> None:
    """
    Make a connection's keys and first message ahead, for the next `connect` with these settings.

    Call it in a running loop, the one that connects. Nothing is sent. Does nothing where the host
    is a name, which is to be looked up when it is needed; raises ConnectError without a socket.
    """
    with suppress(socket.gaierror):
        for family, address in numeric(settings.host, settings.port):
            connection = ClientConnection(settings, _socket(family, address), address)
            connection.begin()
            _prepared[settings, address] = connection


_prepared: dict[tuple[ClientSettings, Address], "ClientConnection"] = {}


async def _connected(
    settings: ClientSettings, family: int, address: Address, seconds: float
) -> "ClientConnection":
    connection = _prepared_one(settings, family, address)
    if connection is None:
        connection = ClientConnection(settings, _socket(family, address), address)
        connection.begin()
    try:
        async with asyncio.timeout(seconds):
            await connection.established()
    except TimeoutError as error:
        raise ConnectError(f"no answer within {seconds:.3g} s") from error
    finally:
        if not connection.is_established:
            await connection.aclose()
    return connection


def _prepared_one(
    settings: ClientSettings, family: int, address: Address
) -> "ClientConnection | None":
    """Return the prepared connection; None if this machine has another address by now."""
    connection = _prepared.pop((settings, address), None)
    if connection is None or connection.loop is not asyncio.get_running_loop():
        return None
    with suppress(ConnectError), _socket(family, address) as now:
        if now.getsockname()[0] == connection.source:
            return connection
    connection.discard()
    return None


class _Exchange:
    """
    A request under way: the received part of its answer, and a future of the whole.

    `opened` is the stream's id once the server allows one; None if no body follows the request.
    """

    __slots__ = ("answer", "chunks", "opened", "request")

    def __init__(
        self,
        request: bytes,
        answer: asyncio.Future[bytes],
        opened: asyncio.Future[int] | None = None,
    ) -> None:
        self.request = request
        self.answer = answer
        self.opened = opened
        self.chunks: list[bytes] = []


class ClientConnection(Driver):
    """A connection to the server; any number of tasks may exchange on it at once."""

    def __init__(self, settings: ClientSettings, sock: socket.socket, address: Address) -> None:
        super().__init__(
            ClientMachine(configuration=_configuration(settings)),
            Datapath(sock, lambda _data, _address: self, self._failed),
        )
        self.is_established = False
        self.source: str = sock.getsockname()[0]
        self._settings = settings
        self._address = address
        self._exchanges: dict[int, _Exchange] = {}
        self._unopened: deque[_Exchange] = deque()
        self._established: asyncio.Future[None] = self.loop.create_future()
        self._ping: asyncio.TimerHandle | None = None
        self._taken = asyncio.Event()
        self._lost = ""

    def begin(self) -> None:
        """Make the keys and the first message; `established` sends it."""
        self._quic.connect(self._address, monotonic())

    def discard(self) -> None:
        """End it after `begin`, when it is not wanted any more; nothing is sent."""
        self._established.cancel()
        self.drop("it was not used")

    async def established(self) -> None:
        """Wait for the handshake, after `begin`; raise ConnectError if it fails."""
        # It may have begun long ago: only now is the server silent.
        self._quic._close_at = monotonic() + self._quic._idle_timeout()
        self._datapath.schedule(self)
        await self._established

    async def exchange(self, request: bytes) -> bytes:
        """
        Send the request on a stream of its own and return all that comes back until its end.

        Raises StreamReset if the server reset the stream, ConnectionLost if the connection was lost
        before the answer was complete: whether the server executed the request is then unknown. A
        cancel only tells the server that the answer isn't wanted.
        """
        exchange = _Exchange(request, self.loop.create_future())
        return await self._answered(exchange)

    async def upload(self, request: bytes, body: AsyncIterable[bytes]) -> bytes:
        """
        Send the request and then the body on the same stream, as fast as the server takes them.

        Raises the errors of `exchange`, and the body's errors, after which the stream is reset. An
        answer that comes before the end of the body ends the sending.
        """
        exchange = _Exchange(request, self.loop.create_future(), self.loop.create_future())
        sending = asyncio.create_task(self._send_body(exchange, body))
        try:
            return await self._answered(exchange)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    async def _answered(self, exchange: _Exchange) -> bytes:
        if self.is_closed:
            raise ConnectionLost(self._lost)
        self._unopened.append(exchange)
        self._open_streams()
        try:
            return await exchange.answer
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise

    async def _send_body(self, exchange: _Exchange, body: AsyncIterable[bytes]) -> None:
        assert exchange.opened is not None
        stream_id = await exchange.opened
        sender = self._quic._streams[stream_id].sender
        try:
            async for chunk in body:
                while len(sender._buffer) > UNACKNOWLEDGED:
                    self._taken.clear()
                    await self._taken.wait()
                # The server may refuse the rest, with the reason in its answer.
                if sender._reset_error_code is not None:
                    return
                self._send(stream_id, chunk, end_stream=False)
            self._send(stream_id, b"", end_stream=True)
        except Exception as error:
            self._quic.reset_stream(stream_id, 0)
            self._datapath.schedule(self)
            if not exchange.answer.done():
                exchange.answer.set_exception(error)

    def _send(self, stream_id: int, data: bytes, *, end_stream: bool) -> None:
        self._quic.send_stream_data(stream_id, data, end_stream)
        self._datapath.schedule(self)

    async def aclose(self) -> None:
        """Close at once; exchanges under way raise ConnectionLost. A second call does nothing."""
        self.shut(QuicErrorCode.NO_ERROR, "the client closed the connection")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram; the socket is connected, so the address is the server's."""
        super().receive(data, self._address, now)

    def process(self, now: float) -> None:
        """Act on the received datagrams."""
        super().process(now)
        self._taken.set()
        if self._unopened and not self.is_closed:
            self._open_streams()

    def _open_streams(self) -> None:
        """Open as many streams as the server allows: a stream beyond that could not be reset."""
        quic = self._quic
        while self._unopened:
            stream_id = quic.get_next_available_stream_id()
            if stream_id // 4 >= quic._remote_max_streams_bidi:
                return
            exchange = self._unopened.popleft()
            self._exchanges[stream_id] = exchange
            self._send(stream_id, exchange.request, end_stream=exchange.opened is None)
            if exchange.opened is not None:
                exchange.opened.set_result(stream_id)

    def _give_up(self, exchange: _Exchange) -> None:
        if exchange in self._unopened:
            self._unopened.remove(exchange)
        for stream_id, other in self._exchanges.items():
            if other is exchange:
                del self._exchanges[stream_id]
                self._quic.stop_stream(stream_id, 0)
                self._datapath.schedule(self)
                return

    def _on_event(self, event: events.QuicEvent) -> None:
        match event:
            case events.StreamDataReceived():
                self._on_data(event)
            case events.StreamReset():
                exchange = self._exchanges.pop(event.stream_id, None)
                if exchange is not None and not exchange.answer.done():
                    exchange.answer.set_exception(StreamReset(event.error_code))
            case events.HandshakeCompleted():
                self._on_established()

    def _on_data(self, event: events.StreamDataReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        if event.data:
            exchange.chunks.append(event.data)
        if event.end_stream:
            del self._exchanges[event.stream_id]
            if not exchange.answer.done():
                exchange.answer.set_result(b"".join(exchange.chunks))

    def _on_established(self) -> None:
        self.is_established = True
        if not self._established.done():
            self._established.set_result(None)
        self._ping = self.loop.call_later(self._settings.keep_alive, self._keep_alive)

    def _keep_alive(self) -> None:
        self._quic.send_ping(0)
        self._datapath.schedule(self)
        self._ping = self.loop.call_later(self._settings.keep_alive, self._keep_alive)

    def _failed(self, error: OSError) -> None:
        """End the connection if nothing listens there any more; other errors are lost datagrams."""
        if isinstance(error, ConnectionRefusedError):
            self._end("nothing listens there")

    def _on_closed(self, reason: str) -> None:
        self._lost = reason
        self._datapath.close()
        if self._ping is not None:
            self._ping.cancel()
        if not self._established.done():
            self._established.set_exception(self._refusal(reason))
        for exchange in (*self._exchanges.values(), *self._unopened):
            if not exchange.answer.done():
                exchange.answer.set_exception(ConnectionLost(reason))
        self._exchanges.clear()
        self._unopened.clear()

    def _refusal(self, reason: str) -> ConnectError:
        ended = self._quic._close_event
        if ended is None or ended.error_code not in (_UNTRUSTED, _OUT_OF_TIME):
            return ConnectError(reason)
        if ended.error_code == _OUT_OF_TIME:
            return UntrustedServer(
                f"its certificate is not valid now ({reason})", TrustFailure.TIME
            )
        if not reason.startswith("hostname "):
            return UntrustedServer(
                f"its certificate is not trusted ({reason})", TrustFailure.ISSUER
            )
        names = ", ".join(_NAME_IN_PATTERN.findall(reason)) or reason
        wanted = self._settings.server_name
        return UntrustedServer(
            f"its certificate is for {names}, not for {wanted!r}", TrustFailure.NAME
        )


def _where(settings: ClientSettings) -> str:
    return f"{settings.host} port {settings.port}"


def _configuration(settings: ClientSettings) -> QuicConfiguration:
    """Return aioquic's settings: no ALPN, because a server without it refuses a client with it."""
    return QuicConfiguration(
        is_client=True,
        server_name=settings.server_name,
        cafile=None if settings.ca_path is None else str(settings.ca_path),
        verify_mode=ssl.CERT_REQUIRED if settings.verify else ssl.CERT_NONE,
        idle_timeout=settings.idle_timeout,
        supported_versions=[QuicProtocolVersion.VERSION_1],
    )


def _socket(family: int, address: Address) -> socket.socket:
    """Return a socket connected to the server, so that errors come when nothing listens there."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        set_buffers(sock, UDP_BUFFER, UDP_BUFFER)
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise ConnectError(str(error.strerror)) from error
    return sock
