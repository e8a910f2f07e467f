"""The UDP socket: read in batches, written once a connection a loop turn."""

import asyncio
import logging
import socket
from collections.abc import Callable
from time import monotonic
from typing import Protocol

Address = tuple[str, int] | tuple[str, int, int, int]

logger = logging.getLogger(__name__)

# More datagrams a turn would let one busy peer delay everybody's timers.
BATCH = 32
LARGEST_DATAGRAM = 65_535


class Endpoint(Protocol):
    """One connection, as the datapath drives it."""

    is_scheduled: bool

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram."""
        ...

    def process(self, now: float) -> None:
        """Act on what the datagrams of this batch brought."""
        ...

    def transmit(self, now: float) -> None:
        """Send all that may be sent now."""
        ...

    def crash(self) -> None:
        """Give up, after an error nobody foresaw."""
        ...


class Datapath:
    """
    Reads datagrams in batches and lets each connection send once a loop turn.

    The stock protocol tries to send after each datagram it receives. Here the events of a whole
    batch are acted on first, the tasks they woke run, and what those queued goes out together.
    Its clock is the loop's, but not in whole milliseconds as uvloop's is: pacing needs finer.
    """

    def __init__(
        self,
        sock: socket.socket,
        route: Callable[[bytes, Address], Endpoint | None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._route = route
        self._failed = failed
        self._scheduled: list[Endpoint] = []
        self._loop.add_reader(sock.fileno(), self._read)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it: QUIC sends again what matters."""
        try:
            self._sock.sendto(data, address)
        except BlockingIOError:
            # The system's buffer is full: loss, as on any other hop.
            return
        except OSError as error:
            self._loop.call_soon(self._fail, error)

    def schedule(self, endpoint: Endpoint) -> None:
        """Have it transmit after the tasks that are ready now; once, however often asked."""
        if endpoint.is_scheduled:
            return
        endpoint.is_scheduled = True
        if not self._scheduled:
            self._loop.call_soon(self._transmit)
        self._scheduled.append(endpoint)

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _read(self) -> None:
        now = monotonic()
        touched: dict[Endpoint, None] = {}
        failure: OSError | None = None
        for _ in range(BATCH):
            try:
                data, address = self._sock.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                failure = error
                continue
            endpoint = self._route(data, address)
            if endpoint is None:
                continue
            touched[endpoint] = None
            try:
                endpoint.receive(data, address, now)
            except Exception:
                self.crashed(endpoint)
        for endpoint in touched:
            try:
                endpoint.process(now)
            except Exception:
                self.crashed(endpoint)
        if failure is not None:
            self._failed(failure)

    def _fail(self, error: OSError) -> None:
        """Report it after what came before: a refused datagram may follow the peer's farewell."""
        if self._sock.fileno() >= 0:
            self._read()
        self._failed(error)

    def _transmit(self) -> None:
        now = monotonic()
        scheduled, self._scheduled = self._scheduled, []
        for endpoint in scheduled:
            # Its timer may have been faster.
            if not endpoint.is_scheduled:
                continue
            try:
                endpoint.transmit(now)
            except Exception:
                self.crashed(endpoint)

    def crashed(self, endpoint: Endpoint) -> None:
        """Keep one connection's bug, in the machine or in ours, from the others of this batch."""
        logger.exception("a connection is given up")
        endpoint.crash()


async def bind(host: str, port: int, recv_buffer: int, send_buffer: int) -> socket.socket:
    """
    Return a non-blocking UDP socket bound there; port 0 is any free one, buffer 0 the system's.

    Raises OSError if the address is unknown or in use.
    """
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = infos[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        set_buffers(sock, recv_buffer, send_buffer)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def set_buffers(sock: socket.socket, recv_buffer: int, send_buffer: int) -> None:
    """Ask for buffers of these sizes; 0 leaves the system's. The system may give less."""
    if recv_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buffer)
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
