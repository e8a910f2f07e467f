"""Clients' first datagrams, and the handshakes that these datagrams begin."""

import os
from collections.abc import Callable, Iterator
from time import monotonic

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicHeader
from aioquic.quic.retry import QuicRetryTokenHandler

from runtara_protocol.quic import incoming
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.datapath import Datapath, Endpoint
from runtara_protocol.quic.fair_queue import Address
from runtara_protocol.quic.machine import Machine
from runtara_protocol.quic.resets import Resets

REFUSAL = "refused: the server accepts no more connections"
TIMEOUT = 10.0
# If so many handshakes are under way, a further client must first prove that it owns its address.
TRUSTED = 128
# The most handshakes under way. Each takes 60 KiB, and up to three times 16 KiB for the client's
# data: less than 64 MiB in all.
MOST = 512
# So many seconds after `TRUSTED` was last reached, clients need no proof any more.
CROWDED_FOR = 2.0
# Room for the datagrams of a thousand clients that reconnect together after a restart.
MOST_AT_THE_DOOR = 2 << 20
LONGEST_AT_THE_DOOR = 10.0
# After so many seconds a handshake may be given up in favour of another.
PATIENCE = 1.0


class Handshakes:
    """
    Opens connections while there is room for another handshake.

    The server keeps no state for a datagram that is no valid first datagram. While `TRUSTED`
    handshakes (or half of `most`, if that is less) are under way, and shortly after, the server
    validates a client's address by a Retry before it keeps any state. If `most` or `MOST`
    handshakes are under way, the oldest one is given up, unless it is younger than `PATIENCE`.
    """

    def __init__(
        self,
        configuration: QuicConfiguration,
        most: int,
        datapath: Datapath,
        begun: Callable[[bytes], Connection | None],
        begin: Callable[[Machine, bytes], Connection],
        is_open: Callable[[], bool],
        resets: Resets,
    ) -> None:
        self._configuration = configuration
        self._refused_from = most
        self._trusted = min(TRUSTED, (most + 1) // 2)
        self._datapath = datapath
        self._begun = begun
        self._begin = begin
        self._is_open = is_open
        self._resets = resets
        self._tokens = QuicRetryTokenHandler()
        self._crowded_until = 0.0
        self._under_way: dict[Connection, float] = {}
        self._strangers = _Door(self._knock)
        self._validated = _Door(self._knock)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._under_way))

    def __len__(self) -> int:
        return len(self._under_way)

    def door(self, header: QuicHeader, address: Address) -> Endpoint:
        """
        Return the source that a first datagram waits in.

        Datagrams with a valid token have a source of their own, so they don't wait for the others.
        """
        return self._strangers if self._origin(header, address) is None else self._validated

    def ended(self, connection: Connection) -> None:
        """Forget a handshake that has ended, or whose connection is gone; may be called twice."""
        self._under_way.pop(connection, None)

    def expire(self) -> None:
        """Give up handshakes that take too long."""
        now = monotonic()
        for connection in [one for one, at in self._under_way.items() if at + TIMEOUT <= now]:
            connection.close("the handshake took too long")

    def _knock(self, data: bytes, address: Address, now: float) -> Connection | None:
        """Return the connection that a first datagram opens; None if it opens none."""
        header, offset = incoming.first_header(data)
        # A client that waits long sends its first datagram again. So the connection may be open.
        connection = self._begun(header.destination_cid)
        if connection is not None:
            return connection
        origin = self._origin(header, address)
        if not self._is_open() or not self._has_place(now):
            self._datapath.send(incoming.refusal(header, REFUSAL.encode()), address)
        elif origin is None and self._is_crowded(now):
            self._datapath.send(self._retry(header, address), address)
        elif incoming.is_authentic(header, data, offset) and self._has_room(now):
            return self._open(header, origin, now)
        return None

    def _open(self, header: QuicHeader, origin: bytes | None, now: float) -> Connection:
        cid = header.destination_cid
        machine = Machine(
            self._resets.token,
            configuration=self._configuration,
            original_destination_connection_id=cid if origin is None else origin,
            retry_source_connection_id=None if origin is None else cid,
        )
        connection = self._begin(machine, cid)
        self._under_way[connection] = now
        return connection

    def _is_crowded(self, now: float) -> bool:
        # The server stays crowded for a while, because a client may send its first datagram twice
        # before a Retry reaches it. The client would never use a connection that the second
        # datagram opens.
        if len(self._under_way) >= self._trusted:
            self._crowded_until = now + CROWDED_FOR
        return now < self._crowded_until

    def _has_place(self, now: float) -> bool:
        return len(self._under_way) < self._refused_from or self._make_room(now)

    def _has_room(self, now: float) -> bool:
        return len(self._under_way) < MOST or self._make_room(now)

    def _make_room(self, now: float) -> bool:
        oldest = next(iter(self._under_way), None)
        if oldest is None or self._under_way[oldest] + PATIENCE > now:
            return False
        oldest.drop("dropped to make room for another handshake")
        return True

    def _origin(self, header: QuicHeader, address: Address) -> bytes | None:
        """Return the id that the client first chose, if a token shows that it got our Retry."""
        if not header.token:
            return None
        try:
            return self._tokens.validate_token(
                address=address,
                destination_cid=header.destination_cid,
                token=header.token,
                now=monotonic(),
            )
        except ValueError:
            # A token of another server, or a token that is too old, counts as none.
            return None

    def _retry(self, header: QuicHeader, address: Address) -> bytes:
        cid = os.urandom(self._configuration.connection_id_length)
        token = self._tokens.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=cid,
            now=monotonic(),
        )
        return incoming.retry(header, cid, token)


class _Door(Endpoint):
    """
    A source of datagrams that belong to no connection yet.

    All datagrams of a door together get the CPU time of one connection, because the server needs
    3 ms to open a connection.
    """

    def __init__(self, knock: Callable[[bytes, Address, float], Connection | None]) -> None:
        super().__init__(MOST_AT_THE_DOOR, LONGEST_AT_THE_DOOR)
        self._knock = knock
        self._touched: list[Connection] = []

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Give the datagram to the connection that it opens, if it may open one."""
        connection = self._knock(data, address, now)
        if connection is not None:
            self._touched.append(connection)
            connection.receive(data, address, now)

    def process(self, now: float) -> None:
        """Act on the datagrams of the connections that this batch opened."""
        while self._touched:
            self._touched[-1].process(now)
            self._touched.pop()

    def transmit(self, now: float) -> None:
        """Do nothing: the door sends its answers at once."""

    def crash(self) -> None:
        """Give up the connection that was being processed."""
        if self._touched:
            self._touched.pop().crash()
