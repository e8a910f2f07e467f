"""The one connection all calls share, opened again whenever it is gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect
from runtara_protocol.quic.error import ConnectError, ConnectionLost
from runtara_sdk.address import Address
from runtara_sdk.backoff import delay
from runtara_sdk.errors import ClientNotOpen, ConnectionFailed

logger = logging.getLogger(__name__)


class SharedConnection:
    """
    A connection to one of several servers that comes back when it is lost.

    They are tried in turn, each for its connect timeout, beginning with the one that worked last.
    `greet` is awaited on each new connection before anybody gets it; what it raises, everybody who
    waits for that connection gets, and the connection is closed.
    """

    def __init__(
        self,
        servers: Sequence[ClientSettings],
        greet: Callable[[ClientConnection], Awaitable[None]],
    ) -> None:
        self.addresses = ", ".join(str(_address(server)) for server in servers)
        self._servers = list(servers)
        self._greet = greet
        self._open: ClientConnection | None = None
        self._opening: asyncio.Task[ClientConnection] | None = None
        self._failures = 0
        self._is_closed = False

    async def connected(self) -> ClientConnection:
        """
        Return the connection, opening one if there is none; whoever waits shares one attempt.

        One attempt, after a wait that grows with the failures before it. Raises ConnectionFailed,
        ClientNotOpen once closed, and what `greet` raises. A cancelled caller leaves the attempt to
        the others.
        """
        if self._is_closed:
            raise ClientNotOpen("this client was closed while a call was under way")
        if self._open is not None and not self._open.is_closed:
            return self._open
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(_take_note)
        opening = self._opening
        # Unlike awaiting the task, this is cancelled without it, and not by its being cancelled.
        await asyncio.wait([opening])
        return await self.connected() if opening.cancelled() else opening.result()

    def answered(self) -> None:
        """Note that the server is well: the next failure is a first one."""
        self._failures = 0

    async def lost(self, connection: ClientConnection, error: ConnectionLost) -> ConnectionFailed:
        """Let go of a connection that failed, unless another caller has; return what to raise."""
        if self._open is connection:
            self._open = None
            self._failures += 1
            logger.warning("the connection to the core at %s was lost: %s", self._nearest, error)
            await connection.aclose()
        return ConnectionFailed(
            f"the connection to the core at {self._nearest} was lost ({error}) before it answered;"
            " whether it did what was asked is unknown"
        )

    async def aclose(self) -> None:
        """Close the connection, and end an attempt to open one; calls under way raise."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._open is not None:
            await self._open.aclose()

    @property
    def _nearest(self) -> Address:
        """The server that worked last."""
        return _address(self._servers[0])

    async def _connect(self) -> ClientConnection:
        await asyncio.sleep(delay(self._failures))
        self._failures += 1
        reasons: list[str] = []
        for server in list(self._servers):
            try:
                connection = await self._greeted(await connect(server), server.connect_timeout)
            except ConnectError as error:
                reasons.append(str(error))
            except ConnectionLost as error:
                reasons.append(f"{_address(server)}: {error}")
            else:
                self._servers.remove(server)
                self._servers.insert(0, server)
                self._open = connection
                return connection
        raise self._out_of_reach("; ".join(reasons))

    def _out_of_reach(self, reasons: str) -> ConnectionFailed:
        reason = (
            f"cannot reach the core: {reasons}; RUNTARA_SERVER_ADDR is {self.addresses},"
            " RUNTARA_TLS_CA names the certificates to trust"
        )
        # Once an outage: the calls that wait for it tell the rest.
        logger.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "%s", reason)
        return ConnectionFailed(reason)

    async def _greeted(self, connection: ClientConnection, seconds: float) -> ClientConnection:
        async with AsyncExitStack() as closing:
            await closing.enter_async_context(connection)
            try:
                async with asyncio.timeout(seconds):
                    await self._greet(connection)
            except TimeoutError as error:
                raise ConnectionLost(f"the run was not continued within {seconds:g} s") from error
            closing.pop_all()
        return connection


def _address(server: ClientSettings) -> Address:
    return Address(server.host, server.port)


def _take_note(opening: asyncio.Task[ClientConnection]) -> None:
    """Keep asyncio from reporting a failure that nobody waited for any more."""
    if not opening.cancelled():
        opening.exception()
