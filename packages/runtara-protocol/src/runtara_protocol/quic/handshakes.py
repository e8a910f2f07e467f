"""Handshakes: the first datagrams of clients, and the handshakes that they begin."""

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

REFUSAL = "refused: the server takes no more connections"
TIMEOUT = 10.0
# With so many handshakes under way, a client must first prove that it owns its address.
TRUSTED = 128
# A handshake takes 60 KiB, and up to three times 16 KiB of its client: 64 MiB in all.
MOST = 512
CROWDED_FOR = 2.0
# Datagrams of a thousand clients that come back together after a restart.
MOST_AT_THE_DOOR = 2 << 20
LONGEST_AT_THE_DOOR = 10.0
# After so many seconds a handshake may be given up for another.
PATIENCE = 1.0


class Handshakes:
    """
    Opens connections while there is room for another handshake.

    A datagram that is no valid first one costs no state. Beyond `TRUSTED` handshakes under way, a
    client's address is validated by a Retry before anything is kept for it. If there is no room,
    the oldest handshake makes room, unless it is younger than `PATIENCE`.
    """

    def __init__(
        self,
        configuration: QuicConfiguration,
        most: int,
        datapath: Datapath,
        begun: Callable[[bytes], Connection | None],
        begin: Callable[[Machine, bytes], Connection],
        is_open: Callable[[], bool],
    ) -> None:
        self._configuration = configuration
        self._refused_from = most
        self._trusted = min(TRUSTED, (most + 1) // 2)
        self._datapath = datapath
        self._begun = begun
        self._begin = begin
        self._is_open = is_open
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
        """Return the source for this datagram: one with a valid token does not wait for others."""
        return self._strangers if self._origin(header, address) is None else self._validated

    def ended(self, connection: Connection) -> None:
        """Forget a handshake that is over, or whose connection is gone; may be called twice."""
        self._under_way.pop(connection, None)

    def expire(self) -> None:
        """Give up handshakes that take too long."""
        now = monotonic()
        for connection in [one for one, at in self._under_way.items() if at + TIMEOUT <= now]:
            connection.close("the handshake took too long")

    def _knock(self, data: bytes, address: Address, now: float) -> Connection | None:
        """Return the connection that a first datagram opens; None if it is answered otherwise."""
        header, offset = incoming.first_header(data)
        # A client that waited long has sent the datagram again.
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
            configuration=self._configuration,
            original_destination_connection_id=cid if origin is None else origin,
            retry_source_connection_id=None if origin is None else cid,
        )
        connection = self._begin(machine, cid)
        self._under_way[connection] = now
        return connection

    def _is_crowded(self, now: float) -> bool:
        # For a while, because a client that was sent a Retry may have sent its first datagram
        # twice before that: opened for the second, a connection would wait for it in vain.
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
        oldest.drop("another handshake needed its place")
        return True

    def _origin(self, header: QuicHeader, address: Address) -> bytes | None:
        """Return the id the client first chose, if it shows that it was sent our Retry."""
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
            # A token of another server, or too old a one, counts as none.
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

    All together have the share of one connection: opening one takes the server 3 ms.
    """

    def __init__(self, knock: Callable[[bytes, Address, float], Connection | None]) -> None:
        super().__init__(MOST_AT_THE_DOOR, LONGEST_AT_THE_DOOR)
        self._knock = knock
        self._touched: list[Connection] = []

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """Have the connection take it in that it opens, if it may open one."""
        connection = self._knock(data, address, now)
        if connection is not None:
            self._touched.append(connection)
            connection.receive(data, address, now)

    def process(self, now: float) -> None:
        """Act on what the connections of this batch were sent."""
        while self._touched:
            self._touched[-1].process(now)
            self._touched.pop()

    def transmit(self, now: float) -> None:
        """Do nothing: what the door sends, it sends at once."""

    def crash(self) -> None:
        """Give up the connection that was at work."""
        if self._touched:
            self._touched.pop().crash()
