"""Calls: asked again while that can help and cannot harm, until their time is up."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from runtara_protocol.pb.instance_pb2 import RpcRequest, RpcResponse
from runtara_protocol.quic.error import ConnectionLost
from runtara_sdk.backoff import delay
from runtara_sdk.connection import SharedConnection
from runtara_sdk.errors import (
    ConnectionFailed,
    DatabaseFailed,
    InstanceSuperseded,
    Overloaded,
    RequestReset,
    RequestTimeout,
    RuntaraError,
    ShuttingDown,
)
from runtara_sdk.exchange import exchange

NOT_CARRIED_OUT = (Overloaded, ShuttingDown)
"""Refusals by which the server says that it did nothing: whatever was asked may be asked again."""

TRANSIENT = (*NOT_CARRIED_OUT, DatabaseFailed, RequestReset)
"""Failures that may not come a second time; a server out of time to end gives requests up."""


@dataclass(slots=True)
class _Call:
    """A request on its way, and what to raise if its time is up now."""

    request: RpcRequest
    is_repeatable: bool
    at_timeout: RuntaraError
    failures: int = 0

    def may_repeat_after(self, failure: RuntaraError) -> bool:
        return isinstance(failure, TRANSIENT if self.is_repeatable else NOT_CARRIED_OUT)


class Calls:
    """
    All calls of one client, over one connection; see docs/decisions/0005.

    Once the server has said that the instance's run is superseded, no call is sent any more: each
    raises InstanceSuperseded.
    """

    def __init__(self, connection: SharedConnection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._superseded: str | None = None

    async def ask(self, request: RpcRequest, *, is_repeatable: bool = True) -> RpcResponse:
        """
        Return the answer, which is of the request's kind, within the timeout.

        `is_repeatable` says that carried out twice is as good as once. Raises ServerError for a
        refusal, ConnectionFailed, RequestTimeout, ProtocolError.
        """
        if self._superseded is not None:
            raise InstanceSuperseded(self._superseded)
        call = _Call(request, is_repeatable, self._not_connected())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    return await self._repeat(call)
        except InstanceSuperseded as error:
            self._superseded = str(error)
            raise
        raise call.at_timeout

    async def _repeat(self, call: _Call) -> RpcResponse:
        while True:
            try:
                connection = await self._connection.connected()
            except ConnectionFailed as error:
                # Nothing was sent, and the shared connection waits before it tries again.
                call.at_timeout = error
                continue
            call.at_timeout = self._unanswered()
            try:
                with self._connection.doubted(connection):
                    response = await exchange(connection, call.request)
            except ConnectionLost as error:
                call.at_timeout = await self._connection.lost(connection, error)
                if not call.is_repeatable:
                    raise call.at_timeout from error
            except RuntaraError as error:
                await self._wait_after(call, error)
            else:
                self._connection.answered()
                return response

    async def _wait_after(self, call: _Call, failure: RuntaraError) -> None:
        if not call.may_repeat_after(failure):
            raise failure
        call.at_timeout = failure
        call.failures += 1
        await asyncio.sleep(delay(call.failures))

    def _not_connected(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"no connection to the core at {self._connection.address} within {self._timeout:g} s;"
            " nothing was sent"
        )

    def _unanswered(self) -> RequestTimeout:
        return RequestTimeout(
            f"no answer from the core at {self._connection.address} within {self._timeout:g} s;"
            " whether it did what was asked is unknown"
        )
