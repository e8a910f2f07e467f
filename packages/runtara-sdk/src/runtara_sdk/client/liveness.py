"""Checks that the server is still there when a connection has gone quiet."""

import asyncio

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb.instance_pb2 import RpcRequest
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

# An empty request: every server refuses it at once, without asking its database.
_PROBE = encode(MessageType.REQUEST, RpcRequest().SerializeToString())


class Liveness:
    """
    Checks connections on which answers are awaited, and closes those with a dead server.

    A server that was killed and started again does not know its old connections and sends nothing
    on them; QUIC's idle timeout would take 30 s to notice. `timeout` is the timeout of a call in
    seconds: a dead connection is closed well within that time.
    """

    def __init__(self, timeout: float) -> None:
        self._quiet_after = timeout / 30
        self._dead_after = timeout / 3
        self._awaited: dict[ClientConnection, dict[_Doubt, float]] = {}
        self._timers: dict[ClientConnection, asyncio.TimerHandle] = {}
        self._checks: dict[ClientConnection, asyncio.Task[None]] = {}

    def doubted(self, connection: ClientConnection) -> "_Doubt":
        """
        Check the connection again and again once the block has taken long, until it ends.

        A connection has one check at a time, however many such blocks there are.
        """
        return _Doubt(self, connection)

    def _begin(self, doubt: "_Doubt", connection: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        self._awaited.setdefault(connection, {})[doubt] = loop.time()
        if connection not in self._timers:
            self._look_in(self._quiet_after, connection)

    def _finish(self, doubt: "_Doubt", connection: ClientConnection) -> None:
        awaited = self._awaited[connection]
        del awaited[doubt]
        if not awaited:
            del self._awaited[connection]
            check = self._checks.pop(connection, None)
            if check is not None:
                check.cancel()

    def _look_in(self, seconds: float, connection: ClientConnection) -> None:
        # One timer for all waiting calls of a connection: a timer for each call would cost a lot.
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(seconds, self._look, connection)

    def _look(self, connection: ClientConnection) -> None:
        del self._timers[connection]
        awaited = self._awaited.get(connection)
        if not awaited or connection in self._checks:
            return
        longest = asyncio.get_running_loop().time() - next(iter(awaited.values()))
        if longest >= self._quiet_after:
            self._checks[connection] = asyncio.create_task(self._check(connection))
        else:
            self._look_in(self._quiet_after - longest, connection)

    async def _check(self, connection: ClientConnection) -> None:
        while True:
            await self._close_unless_alive(connection)
            await asyncio.sleep(self._dead_after)

    async def _close_unless_alive(self, connection: ClientConnection) -> None:
        try:
            async with asyncio.timeout(self._dead_after):
                await connection.exchange(_PROBE)
        except StreamReset:
            # The server lives, whatever it answers.
            return
        except ConnectionLost:
            # The connection itself ends the calls that wait for an answer.
            return
        except TimeoutError:
            logger.warning(
                "no answer from the core for %g s: closing the connection", self._dead_after
            )
            await connection.aclose()


class _Doubt:
    """A block in which an answer is awaited on a connection."""

    __slots__ = ("_connection", "_liveness")

    def __init__(self, liveness: Liveness, connection: ClientConnection) -> None:
        self._liveness, self._connection = liveness, connection

    def __enter__(self) -> None:
        self._liveness._begin(self, self._connection)

    def __exit__(self, *raised: object) -> None:
        self._liveness._finish(self, self._connection)
