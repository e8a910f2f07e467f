"""Whether the server is still there behind a connection that has gone quiet."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb.instance_pb2 import RpcRequest
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

# A request for nothing: every server refuses it at once, without a look at its database.
_PROBE = encode(MessageType.REQUEST, RpcRequest().SerializeToString())


class Liveness:
    """
    Looks after connections on which answers are awaited, and closes those whose server is gone.

    A server that was killed and started again knows nothing of its old connections and says
    nothing on them; QUIC's idle timeout would take 30 s to tell. `timeout` is that of a call, in
    seconds: a dead connection is given up well within it.
    """

    def __init__(self, timeout: float) -> None:
        self._quiet_after = timeout / 30
        self._dead_after = timeout / 3
        self._awaited: Counter[ClientConnection] = Counter()
        self._checks: dict[ClientConnection, asyncio.Task[None]] = {}

    @contextmanager
    def doubted(self, connection: ClientConnection) -> Iterator[None]:
        """
        Check the connection if this block takes long, and again and again while it does.

        One check at a time a connection, however many such blocks there are.
        """
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._quiet_after, self._start_check, connection)
        self._awaited[connection] += 1
        try:
            yield
        finally:
            timer.cancel()
            self._awaited[connection] -= 1
            if not self._awaited[connection]:
                self._forget(connection)

    def _start_check(self, connection: ClientConnection) -> None:
        if connection not in self._checks:
            self._checks[connection] = asyncio.create_task(self._check(connection))

    def _forget(self, connection: ClientConnection) -> None:
        del self._awaited[connection]
        check = self._checks.pop(connection, None)
        if check is not None:
            check.cancel()

    async def _check(self, connection: ClientConnection) -> None:
        while True:
            await self._close_unless_alive(connection)
            await asyncio.sleep(self._dead_after)

    async def _close_unless_alive(self, connection: ClientConnection) -> None:
        try:
            async with asyncio.timeout(self._dead_after):
                await connection.exchange(_PROBE)
        except StreamReset:
            # Whatever it says, it lives.
            return
        except ConnectionLost:
            # Whoever waits for an answer is told by the connection itself.
            return
        except TimeoutError:
            logger.warning(
                "the core said nothing for %g s: its connection is given up", self._dead_after
            )
            await connection.aclose()
