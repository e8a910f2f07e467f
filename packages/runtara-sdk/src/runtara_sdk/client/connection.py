"""The one connection that all calls share; it is opened again when it is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect
from runtara_protocol.quic.error import ConnectError, ConnectionLost, TrustFailure, UntrustedServer
from runtara_sdk.client.address import Address
from runtara_sdk.client.backoff import delay
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import ClientNotOpen, ConnectionFailed, RuntaraError, ServerNotTrusted
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)


class SharedConnection:
    """
    A connection to one of several servers; it is opened again when it is lost.

    The servers are tried in turn, each for its connect timeout, from the one that worked last.
    `greet` is awaited on each new connection before any call gets that connection. If `greet`
    raises, the connection is closed and all calls that wait for it raise the same error. Errors
    call the servers `peer`, and say with `origin` where their addresses are from.
    """

    def __init__(
        self,
        servers: Sequence[ClientSettings],
        greet: Callable[[ClientConnection], Awaitable[None]],
        *,
        origin: str,
        peer: str = "the core",
    ) -> None:
        self._peer = peer
        self.addresses = ", ".join(str(_address(server)) for server in servers)
        self._origin = origin
        self._servers = list(servers)
        self._greet = greet
        self._open: ClientConnection | None = None
        self._opening: asyncio.Task[ClientConnection] | None = None
        self._failures = 0
        self._is_closed = False

    async def connected(self) -> ClientConnection:
        """
        Return the connection; without one, make one attempt that all waiting callers share.

        Before the attempt comes a wait that grows with the failures so far. Raises
        ConnectionFailed, ServerNotTrusted if no server is trusted, ClientNotOpen once closed, and
        what `greet` raises. If a caller is cancelled, the attempt goes on for the others.
        """
        if self._is_closed:
            raise ClientNotOpen("this client was closed while a call was under way")
        if self._open is not None and not self._open.is_closed:
            return self._open
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._connect())
            self._opening.add_done_callback(_take_note)
        opening = self._opening
        # Unlike `await opening`: a cancelled caller doesn't cancel the task, nor the task a caller.
        await asyncio.wait([opening])
        return await self.connected() if opening.cancelled() else opening.result()

    def answered(self) -> None:
        """Note that the server has answered: the failures are counted from 0 again."""
        self._failures = 0

    async def lost(self, connection: ClientConnection, error: ConnectionLost) -> ConnectionFailed:
        """Drop a failed connection unless another caller did so; return the error to raise."""
        if self._open is connection:
            self._open = None
            self._failures += 1
            lost = f"the connection to {self._peer} at {self._nearest} was lost"
            logger.warning("%s: %s", lost, error)
            await connection.aclose()
        return ConnectionFailed(
            f"the connection to {self._peer} at {self._nearest} was lost ({error}) before it"
            " answered; whether it executed the request is unknown"
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
        failures: list[ConnectError | ConnectionLost] = []
        for server in list(self._servers):
            try:
                connection = await self._greeted(await connect(server), server.connect_timeout)
            except ConnectError as error:
                failures.append(error)
            except ConnectionLost as error:
                failures.append(ConnectionLost(f"{_address(server)}: {error}"))
            else:
                self._servers.remove(server)
                self._servers.insert(0, server)
                self._open = connection
                return connection
        raise self._out_of_reach(failures)

    def _out_of_reach(self, failures: Sequence[ConnectError | ConnectionLost]) -> RuntaraError:
        said = "; ".join(map(str, failures))
        distrust = [error.why for error in failures if isinstance(error, UntrustedServer)]
        remedy = f"; {_remedy(distrust[0], self._servers[0])}" if distrust else ""
        if len(distrust) == len(failures):
            return ServerNotTrusted(f"{self._peer} is not trusted: {said}{remedy}")
        reason = (
            f"can't reach {self._peer}: {said}; does it run there, and does UDP get through?"
            f" {self._origin}{remedy}"
        )
        # Logged once an outage, and not as a warning: the calls that wait log warnings.
        if self._failures == 1:
            logger.info("%s; trying again", reason)
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


class CommonConnection:
    """
    A connection that the clients of many instances share.

    On a new connection each client continues its run. A client that can't do so fails by itself,
    at its next call at the latest; the other clients go on.
    """

    def __init__(self, settings: Settings) -> None:
        self._greetings: set[Callable[[ClientConnection], Awaitable[None]]] = set()
        self.connection = SharedConnection(servers(settings), self._greet, origin=settings.origin())

    def join(self, greet: Callable[[ClientConnection], Awaitable[None]]) -> None:
        """Await this function on each new connection from now on."""
        self._greetings.add(greet)

    def leave(self, greet: Callable[[ClientConnection], Awaitable[None]]) -> None:
        """Await this function on no connection any more."""
        self._greetings.discard(greet)

    async def aclose(self) -> None:
        """Close the connection; calls under way raise."""
        await self.connection.aclose()

    async def _greet(self, connection: ClientConnection) -> None:
        await asyncio.gather(*(greet(connection) for greet in list(self._greetings)))


def servers(settings: Settings) -> list[ClientSettings]:
    """The servers that the settings name, in their order."""
    return [
        ClientSettings(
            host=address.host,
            port=address.port,
            server_name=settings.server_name,
            ca_path=settings.tls_ca,
            verify=not settings.skip_cert_verification,
            connect_timeout=settings.connect_timeout_ms / 1000,
        )
        for address in Address.parse_all(settings.server_addr)
    ]


def _remedy(why: TrustFailure, server: ClientSettings) -> str:
    """Say which setting makes the client trust the server, and how it is set now."""
    if why is TrustFailure.TIME:
        return "have it renewed (RUNTARA_TLS_CERT of the server), and look at both machines' clocks"
    if why is TrustFailure.NAME:
        return f"set RUNTARA_SERVER_NAME, which is {server.server_name}, to a name in it"
    trusted = (
        "not set: the system's authorities count" if server.ca_path is None else server.ca_path
    )
    return (
        "set RUNTARA_TLS_CA to the PEM file of the authority that signed it (`runtara-server --dev`"
        " prints where it is; an environment with a core of its own has it in DATA_DIR/authority);"
        f" it is {trusted}. To try things, RUNTARA_SKIP_CERT_VERIFICATION=true trusts any server"
        " that answers"
    )


def _address(server: ClientSettings) -> Address:
    return Address(server.host, server.port)


def _take_note(opening: asyncio.Task[ClientConnection]) -> None:
    """Keep asyncio from reporting the failure of an attempt that no call waits for any more."""
    if not opening.cancelled():
        opening.exception()
