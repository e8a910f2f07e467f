"""Sends requests and receives answers over a connection, which is reopened when it is lost."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from runtara_management_sdk.answers import read_answer
from runtara_management_sdk.settings import ManagementSettings
from runtara_protocol.pb.environment_pb2 import RpcRequest
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_sdk.client.backoff import delay
from runtara_sdk.client.connection import SharedConnection
from runtara_sdk.client.frames import frame
from runtara_sdk.client.retry import NOT_CARRIED_OUT, TRANSIENT
from runtara_sdk.errors import ConnectionFailed, RequestReset, RequestTimeout, RuntaraError


class Transport:
    """
    Sends requests to an environment; any number of tasks may use it at once.

    An idempotent request is repeated until its timeout, counted from the first attempt. A server
    may hold some answers back. That time is added to the timeout only while there is a connection.
    A repeated request gets the time that is left. Before the first connection, a failure to connect
    is raised at once.
    """

    def __init__(self, settings: ManagementSettings) -> None:
        self._connection = SharedConnection(
            settings.servers(), _greet, peer="the environment", origin=settings.origin()
        )
        self._timeout = settings.request_timeout_ms / 1000
        self._was_connected = False

    async def ask(
        self, request: RpcRequest, *, is_repeatable: bool = True, hold: float = 0.0
    ) -> Any:
        """
        Send a request and return the message in its answer.

        hold: seconds for which the server may hold the answer back, besides the timeout. Raises
        ServerError if the server refuses the request, and ConnectionFailed, ServerNotTrusted,
        RequestTimeout and ProtocolError.
        """

        async def exchange(connection: ClientConnection) -> bytes:
            return await connection.exchange(frame(request))

        return await self._ask(request, exchange, is_repeatable=is_repeatable, hold=hold)

    async def upload(self, request: RpcRequest, body: Callable[[], AsyncIterable[bytes]]) -> Any:
        """Send a request and a body after it; `body` is called for each attempt."""

        async def exchange(connection: ClientConnection) -> bytes:
            return await connection.upload(frame(request), body())

        # An upload has no timeout, because a connection without traffic ends by itself.
        return await self._ask(request, exchange, is_repeatable=True, hold=None)

    async def aclose(self) -> None:
        """Close the connection; requests under way raise."""
        await self._connection.aclose()

    async def _ask(
        self,
        request: RpcRequest,
        exchange: Callable[[ClientConnection], Awaitable[bytes]],
        *,
        is_repeatable: bool,
        hold: float | None,
    ) -> Any:
        failure: RuntaraError | None = None
        failures = 0
        repeated_after = TRANSIENT if is_repeatable else NOT_CARRIED_OUT
        ends = None if hold is None else _now() + self._timeout + hold
        try:
            async with asyncio.timeout_at(ends) as limit:
                while True:
                    try:
                        connection = await self._connection.connected()
                        if failure is not None and hold and ends is not None:
                            limit.reschedule(ends)
                            _hold_for(request, ends - self._timeout - _now())
                        return read_answer(request, await self._once(connection, exchange))
                    except ConnectionFailed as error:
                        failure = error
                        if hold:
                            limit.reschedule(min(limit.when() or 0.0, _now() + self._timeout))
                        is_unsent = not isinstance(error.__cause__, ConnectionLost)
                        if not (is_repeatable or is_unsent) or not self._was_connected:
                            raise
                    except repeated_after as error:
                        failure = error
                        failures += 1
                        await asyncio.sleep(delay(failures))
        except TimeoutError:
            raise failure or RequestTimeout(
                f"no answer from the environment at {self._connection.addresses} in time; whether"
                " it executed the request is unknown"
            ) from None

    async def _once(
        self,
        connection: ClientConnection,
        exchange: Callable[[ClientConnection], Awaitable[bytes]],
    ) -> bytes:
        self._was_connected = True
        try:
            data = await exchange(connection)
        except StreamReset as error:
            raise RequestReset(f"the environment reset the request's stream: {error}") from error
        except ConnectionLost as error:
            raise await self._connection.lost(connection, error) from error
        self._connection.answered()
        return data


def _now() -> float:
    return asyncio.get_running_loop().time()


def _hold_for(request: RpcRequest, seconds: float) -> None:
    """Lower the request's `wait_ms` to these seconds, if the request has such a field."""
    asked = getattr(request, request.WhichOneof("request") or "")
    if "wait_ms" in asked.DESCRIPTOR.fields_by_name:
        asked.wait_ms = min(asked.wait_ms, max(0, int(seconds * 1000)))


async def _greet(connection: ClientConnection) -> None:
    """Do nothing: an environment needs no first message."""
