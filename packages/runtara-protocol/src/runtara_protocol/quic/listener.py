"""A QUIC listener that hands clients' streams to a handler, and knows nothing of messages."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode, QuicProtocolVersion

from runtara_domain.record import record
from runtara_protocol.quic import incoming
from runtara_protocol.quic.budget import Pool
from runtara_protocol.quic.certificates import Certificate
from runtara_protocol.quic.connection import Connection, ConnectionHandler
from runtara_protocol.quic.datapath import Datapath, Endpoint, bind
from runtara_protocol.quic.delivery import FLOOR, Deliveries
from runtara_protocol.quic.fair_queue import Address
from runtara_protocol.quic.handshakes import REFUSAL, Handshakes
from runtara_protocol.quic.machine import Machine
from runtara_protocol.quic.resets import Resets

logger = logging.getLogger(__name__)

# Connections are pinged in so many groups, so that thousands of pings make no burst.
SHARES = 16
# A living peer acknowledges some of the sent data within so many seconds.
SILENCE = 2.0


HELD_EACH = 130 << 20
UNDELIVERED_EACH = 128 << 20


@record(kw_only=True)
class ListenerSettings:
    """The address to listen on, and limits; times in seconds, sizes in bytes."""

    host: str
    port: int
    certificate: Certificate
    # At most so many handshakes are under way; one more is refused.
    max_incoming: int = 10_000
    max_bi_streams: int = 1000
    max_uni_streams: int = 100
    idle_timeout: float = 120.0
    # None: the server sends no PINGs.
    keep_alive: float | None = 15.0
    # 0: the system's default.
    udp_recv_buffer: int = 2 << 20
    udp_send_buffer: int = 2 << 20
    # At most so many established connections; one more is refused. None: no bound.
    max_connections: int | None = None
    # The most request bytes that the server holds for all clients together, besides 512 KiB for
    # each connection. At least the size of two of the largest frames.
    max_held: int = 512 << 20
    # The most request bytes of one connection: two of the largest frames and a little.
    max_held_each: int = HELD_EACH
    # With more unread bytes of all clients together, large replies are refused: see `Deliveries`.
    max_undelivered: int = 512 << 20
    # A client with more unread bytes gets no replies.
    max_undelivered_each: int = UNDELIVERED_EACH
    # How long the listener's end waits for handlers, and for the acknowledgement of their data.
    grace: float = 10.0


class Listener:
    """
    Listens while its `async with` block runs. Entering raises OSError if the port is in use.

    On leaving, the listener refuses new connections. It waits at most `grace` for running handlers
    and for the delivery of their data. Then it cancels the other handlers and closes every
    connection.
    """

    def __init__(
        self, settings: ListenerSettings, accept: Callable[[Connection], ConnectionHandler]
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.pool = Pool(settings.max_held)
        self.max_held_each = settings.max_held_each
        self.max_undelivered_each = settings.max_undelivered_each
        self._settings = settings
        self._accept = accept
        self._configuration = _configuration(settings)
        self._routes: dict[bytes, Connection] = {}
        self._established: dict[Connection, None] = {}
        self.is_accepting = True
        self._progress = asyncio.Event()
        self._share = 0
        self.deliveries = Deliveries(
            *(settings.max_undelivered, self.max_undelivered_each),
            *(self._established.keys(), monotonic),
        )

    @property
    def address(self) -> tuple[str, int]:
        """The bound host and port."""
        host, port = self._sock.getsockname()[:2]
        return host, port

    def renew(self, certificate: Certificate) -> None:
        """Show this certificate to clients that connect from now on."""
        # All connections share this configuration. Each reads it when its handshake begins.
        self._configuration.certificate = certificate.chain[0]
        self._configuration.certificate_chain = list(certificate.chain[1:])
        self._configuration.private_key = certificate.private_key

    def stop_accepting(self) -> None:
        """Refuse new connections from now on; established ones stay."""
        self.is_accepting = False

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        self._sock = await bind(
            settings.host, settings.port, settings.udp_recv_buffer, settings.udp_send_buffer
        )
        self._datapath = Datapath(self._sock, self._route, self._failed, self._shed)
        self._resets = Resets(settings.certificate.lasting_secret, self.address)
        self._handshakes = Handshakes(
            self._configuration,
            settings.max_incoming,
            self._datapath,
            self._routes.get,
            self._begin,
            self._is_open,
            self._resets,
        )
        self._tick()
        self._expire()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_accepting()
        try:
            await self._drain()
        finally:
            self._timer.cancel()
            self._expiry.cancel()
            for connection in [*self._handshakes, *self._established]:
                connection.close("the server is shutting down")
            self._datapath.close()

    async def _drain(self) -> None:
        """Wait for handlers and deliveries until the grace is over, then cancel handlers."""
        try:
            async with asyncio.timeout(self._settings.grace):
                if self.tasks:
                    await asyncio.wait(set(self.tasks))
                await self._deliver()
        except TimeoutError:
            logger.warning("grace is over: %d requests are unfinished", len(self.tasks))
        finally:
            running = set(self.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _deliver(self) -> None:
        """Wait until all sent data is acknowledged, except by peers that fell silent."""
        began = self._loop.time()
        while any(
            not one.is_delivered and self._loop.time() < max(one.heard_at, began) + SILENCE
            for one in self._established
        ):
            self._progress.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENCE / 4):
                    await self._progress.wait()

    # Calls of connections to their owner.

    def established(self, connection: Connection) -> ConnectionHandler | None:
        """Count a connection as established; return its handler, or None if it is refused."""
        self._handshakes.ended(connection)
        self._established[connection] = None
        if not self.is_accepting or self._is_full(len(self._established) - 1):
            connection.shut(QuicErrorCode.CONNECTION_REFUSED, REFUSAL)
            return None
        return self._accept(connection)

    def routed(self, connection: Connection, cid: bytes) -> None:
        """Route the datagrams of this connection id to the connection."""
        self._routes[cid] = connection

    def unrouted(self, cid: bytes) -> None:
        """Forget this connection id."""
        self._routes.pop(cid, None)

    def progressed(self) -> None:
        """Wake the code that waits for the end of handlers or deliveries."""
        self._progress.set()

    def gone(self, connection: Connection) -> None:
        """Forget the connection."""
        self._handshakes.ended(connection)
        self._established.pop(connection, None)
        self._progress.set()

    # Datagrams.

    def _route(self, data: bytes, address: Address) -> Endpoint | None:
        """Return the endpoint of this datagram; None if there is none."""
        if data and not data[0] & incoming.LONG_HEADER:
            # A packet of an established connection: its id follows the first byte.
            length = self._configuration.connection_id_length
            connection = self._routes.get(data[1 : 1 + length])
            if connection is None:
                reset = self._resets.answer(data, length, monotonic())
                if reset is not None:
                    self._datapath.send(reset, address)
            return connection
        return self._handshake(data, address)

    def _handshake(self, data: bytes, address: Address) -> Endpoint | None:
        """Return the connection of a handshake packet, or the door if the packet may open one."""
        header = incoming.long_header(data, self._configuration.connection_id_length)
        if header is None:
            return None
        connection = self._routes.get(header.destination_cid)
        if connection is not None or not incoming.is_large_enough(data):
            return connection
        negotiation = incoming.version_negotiation(header, self._configuration)
        if negotiation is not None:
            self._datapath.send(negotiation, address)
        elif incoming.is_first_of_connection(header):
            return self._handshakes.door(header, address)
        return None

    def _is_open(self) -> bool:
        return self.is_accepting and not self._is_full(len(self._established))

    def _is_full(self, count: int) -> bool:
        most = self._settings.max_connections
        return most is not None and count >= most

    def _begin(self, machine: Machine, cid: bytes) -> Connection:
        _announce(machine, self._settings)
        connection = Connection(machine, self._datapath, self)
        connection.route(cid)
        connection.route(machine.host_cid)
        return connection

    def _failed(self, error: OSError) -> None:
        """Log an error of the socket and go on: it concerns one datagram of one peer."""
        logger.debug("datagram failed: %s", error)

    def _shed(self) -> None:
        """Close the connection with the most held bytes, unless all hold few."""
        most = max(self._established, key=lambda one: one.weight, default=None)
        if most is not None and most.weight > FLOOR:
            logger.warning(
                "out of memory: client with the most held bytes disconnected",
                extra={"held": most.held, "undelivered": most.debt.size},
            )
            most.drop("the server is out of memory")

    def _tick(self) -> None:
        """Ping one group of the connections, and give up handshakes that take too long."""
        interval = self._settings.keep_alive
        if interval is not None:
            for connection in list(self._established)[self._share :: SHARES]:
                connection.ping()
        self._share = (self._share + 1) % SHARES
        self._handshakes.expire()
        self._timer = self._loop.call_later((interval or SHARES) / SHARES, self._tick)

    def _expire(self) -> None:
        self.deliveries.expire()
        self._expiry = self._loop.call_later(1.0, self._expire)


def _configuration(settings: ListenerSettings) -> QuicConfiguration:
    """Return aioquic's settings: no ALPN, so that a client without ALPN is accepted."""
    return QuicConfiguration(
        is_client=False,
        certificate=settings.certificate.chain[0],
        certificate_chain=list(settings.certificate.chain[1:]),
        private_key=settings.certificate.private_key,
        idle_timeout=settings.idle_timeout,
        supported_versions=[QuicProtocolVersion.VERSION_1],
    )


def _announce(quic: Machine, settings: ListenerSettings) -> None:
    """Announce our stream limits; aioquic has no setting for them and announces 128."""
    for limit, value in (
        (quic._local_max_streams_bidi, settings.max_bi_streams),
        (quic._local_max_streams_uni, settings.max_uni_streams),
    ):
        limit.value = limit.sent = value
