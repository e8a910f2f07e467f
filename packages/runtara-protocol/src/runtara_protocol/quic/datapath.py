"""The UDP socket. It is read in batches. A connection writes once in an iteration of the loop."""

import asyncio
import logging
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sized
from time import monotonic, thread_time
from typing import TypeAlias

from runtara_protocol.quic.fair_queue import BACKLOG, WAITING_EACH, Address, FairQueue, Source

logger = logging.getLogger(__name__)

# More datagrams in one iteration of the loop would delay the timers and answers of all peers.
BATCH = 64
# Seconds of CPU time. Time in which other threads and processes run is no work that can be put off.
TURN = 0.005
# So many datagrams are read before the first of them is processed. Datagrams that stay in the
# system's buffer wait behind those of all other peers, without fair shares.
AT_ONCE = 256
# No path of the Internet carries more, and the cost of a packet may grow with its size.
LARGEST_DATAGRAM = 2048


# The endpoint, the datagram, and the sender's address.
Arrival: TypeAlias = "tuple[Endpoint, bytes, Address]"


class Endpoint(Source, ABC):
    """One connection, as the datapath drives it."""

    def __init__(self, most_waiting: int = WAITING_EACH, backlog: float = BACKLOG) -> None:
        super().__init__(most_waiting, backlog)
        self.is_scheduled = False

    @abstractmethod
    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Take in one datagram."""

    @abstractmethod
    def process(self, now: float) -> None:
        """Act on the datagrams of this batch."""

    @abstractmethod
    def transmit(self, now: float) -> None:
        """Send all data that may be sent now."""

    @abstractmethod
    def crash(self) -> None:
        """Give the connection up after an unforeseen error."""


class Datapath:
    """
    Reads datagrams in batches and lets each connection send once an iteration.

    aioquic's own protocol tries to send after each datagram that it receives. The datapath first
    acts on the events of a whole batch. Then the tasks run that these events woke. Then all data
    that the tasks queued goes out together. If there is more work than one iteration has time for,
    endpoints get equal shares of the time. The datapath uses `monotonic`, because uvloop's clock
    counts whole milliseconds and pacing needs finer times.
    """

    def __init__(
        self,
        sock: socket.socket,
        route: Callable[[bytes, Address], Endpoint | None],
        failed: Callable[[OSError], None],
        exhausted: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._route = route
        self._failed = failed
        self._exhausted = exhausted
        self._scheduled: list[Endpoint] = []
        self._resumed: dict[Endpoint, None] = {}
        self._queue = FairQueue[Endpoint]()
        self._is_continuing = False
        self._loop.add_reader(sock.fileno(), self._read)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it: QUIC sends lost data again."""
        try:
            self._sock.sendto(data, address)
        except BlockingIOError:
            # The system's buffer is full. The datagram is lost, as on any other busy hop.
            return
        except OSError as error:
            self._loop.call_soon(self._fail, error)

    def schedule(self, endpoint: Endpoint) -> None:
        """Let it transmit after the tasks that are ready now; repeated calls change nothing."""
        if endpoint.is_scheduled:
            return
        endpoint.is_scheduled = True
        if not self._scheduled:
            self._loop.call_soon(self._transmit)
        self._scheduled.append(endpoint)

    def resume(self, endpoint: Endpoint) -> None:
        """Let it process its rest in the next iteration; repeated calls change nothing."""
        if not self._resumed:
            self._loop.call_soon(self._resume)
        self._resumed[endpoint] = None

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def forget(self, endpoint: Endpoint) -> None:
        """Drop the datagrams that wait for an endpoint that is gone."""
        self._queue.forget(endpoint)

    def _read(self) -> None:
        arrived, failure = self._arrivals()
        if self._queue.waiting_bytes or len(arrived) > BATCH:
            for endpoint, data, address in arrived:
                self._queue.put(endpoint, data, address)
            if not self._is_continuing:
                self._take_waiting()
        elif arrived:
            self._take_all(arrived)
        if failure is not None:
            self._failed(failure)

    def _arrivals(self) -> tuple[list[Arrival], OSError | None]:
        """Return the datagrams that have arrived, and the last error of the socket, if any."""
        arrived: list[Arrival] = []
        failure: OSError | None = None
        for _ in range(AT_ONCE):
            try:
                data, address = self._sock.recvfrom(LARGEST_DATAGRAM + 1)
            except BlockingIOError:
                break
            except OSError as error:
                failure = error
                continue
            endpoint = self._route(data, address) if len(data) <= LARGEST_DATAGRAM else None
            if endpoint is not None:
                arrived.append((endpoint, data, address))
        return arrived, failure

    def _take_all(self, arrived: list[Arrival]) -> None:
        """Process datagrams in order of arrival for `TURN`; the rest waits in the queue."""
        now, began = monotonic(), _cpu_before(arrived)
        touched: dict[Endpoint, None] = {}
        for done, (endpoint, data, address) in enumerate(arrived, start=1):
            touched[endpoint] = None
            try:
                endpoint.receive(data, address, now)
            except Exception:
                self.crashed(endpoint)
            if monotonic() - now > TURN and thread_time() - began > TURN:
                for late in arrived[done:]:
                    self._queue.put(*late)
                break
        self._process(touched, now)

    def _take_waiting(self) -> None:
        """Process waiting datagrams for one iteration; the rest waits for the next."""
        now = taken_in = monotonic()
        began = thread_time()
        since = self._share_began()
        touched: dict[Endpoint, None] = {}
        for _ in range(BATCH):
            given = self._queue.take()
            if given is None:
                break
            endpoint, data, address = given
            touched[endpoint] = None
            try:
                endpoint.receive(data, address, now)
            except Exception:
                self.crashed(endpoint)
            if since is not None:
                since = self._charge(endpoint, since)
            before, taken_in = taken_in, monotonic()
            endpoint.took(taken_in - before)
            if taken_in - now > TURN and thread_time() - began > TURN:
                break
        self._process(touched, now)

    def _process(self, touched: Iterable[Endpoint], now: float) -> None:
        since = self._share_began()
        for endpoint in touched:
            try:
                endpoint.process(now)
            except Exception:
                self.crashed(endpoint)
            if since is not None:
                since = self._charge(endpoint, since)
        if self._queue.waiting_bytes and not self._is_continuing:
            self._is_continuing = True
            self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._is_continuing = False
        if self._sock.fileno() >= 0:
            self._read()

    def _share_began(self) -> float | None:
        """Return the CPU time so far; None if only one endpoint has work."""
        # CPU time: wall-clock time would charge an endpoint for other processes' work.
        queue = self._queue
        return thread_time() if queue.waiting_bytes and queue.is_shared else None

    def _resume(self) -> None:
        resumed, self._resumed = self._resumed, {}
        self._process(resumed, monotonic())

    def _charge(self, endpoint: Endpoint, since: float) -> float:
        """Charge the CPU time since then to this endpoint, if other endpoints wait."""
        if not self._queue.is_shared:
            return since
        spent = thread_time()
        self._queue.charge(endpoint, spent - since)
        return spent

    def _fail(self, error: OSError) -> None:
        """Read the socket, then report the error: the peer may have closed before it refused us."""
        if self._sock.fileno() >= 0:
            self._read()
        self._failed(error)

    def _transmit(self) -> None:
        scheduled, self._scheduled = self._scheduled, []
        now, began = monotonic(), _cpu_before(scheduled)
        since = self._share_began()
        for done, endpoint in enumerate(scheduled, start=1):
            # The endpoint's timer may have transmitted already.
            if not endpoint.is_scheduled:
                continue
            try:
                endpoint.transmit(now)
            except Exception:
                self.crashed(endpoint)
            if since is not None:
                since = self._charge(endpoint, since)
            if monotonic() - now > TURN and thread_time() - began > TURN and done < len(scheduled):
                self._postpone(scheduled[done:])
                return

    def _postpone(self, endpoints: list[Endpoint]) -> None:
        """Let these transmit in the next iteration, in the order of the time they have used."""
        if not self._scheduled:
            self._loop.call_soon(self._transmit)
        self._scheduled = sorted((*endpoints, *self._scheduled), key=lambda one: one.used)

    def crashed(self, endpoint: Endpoint) -> None:
        """Give one connection up after its error, so that the others of its batch go on."""
        if isinstance(sys.exception(), MemoryError):
            # Often another connection has taken the memory.
            self._exhausted()
        logger.exception("a connection is given up")
        endpoint.crash()


def _cpu_before(work: Sized) -> float:
    """Return this thread's CPU time; 0 if only one piece is to be done, after which none waits."""
    # Asking costs a system call.
    return thread_time() if len(work) > 1 else 0.0


async def bind(host: str, port: int, recv_buffer: int, send_buffer: int) -> socket.socket:
    """
    Return a non-blocking UDP socket that is bound to host and port.

    port: 0 is any free port. recv_buffer, send_buffer: 0 leaves the system's default.

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
    """Ask for buffers of these sizes; 0 leaves the system's default. The system may give less."""
    if recv_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buffer)
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
