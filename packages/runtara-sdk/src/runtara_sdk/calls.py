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
    """A request on its way; `failure`: what became of it last, None while it may be answered."""

    request: RpcRequest
    is_repeatable: bool
    failure: RuntaraError | None = None
    failures: int = 0
    is_sent: bool = False

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
        call = _Call(request, is_repeatable)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    return await self._repeat(call)
        except InstanceSuperseded as error:
            self._superseded = str(error)
            raise
        raise call.failure or self._time_up(call)

    async def _repeat(self, call: _Call) -> RpcResponse:
        while True:
            try:
                connection = await self._connection.connected()
            except ConnectionFailed as error:
                # Nothing was sent, and the shared connection waits before it tries again.
                call.failure = error
                continue
            call.is_sent, call.failure = True, None
            try:
                with self._connection.doubted(connection):
                    response = await exchange(connection, call.request)
            except ConnectionLost as error:
                call.failure = await self._connection.lost(connection, error)
                if not call.is_repeatable:
                    raise call.failure from error
            except RuntaraError as error:
                await self._wait_after(call, error)
            else:
                self._connection.answered()
                return response

    async def _wait_after(self, call: _Call, failure: RuntaraError) -> None:
        if not call.may_repeat_after(failure):
            raise failure
        call.failure = failure
        call.failures += 1
        await asyncio.sleep(delay(call.failures))

    def _time_up(self, call: _Call) -> RuntaraError:
        within = f"from the core at {self._connection.address} within {self._timeout:g} s"
        if call.is_sent:
            return RequestTimeout(f"no answer {within}; whether it did what was asked is unknown")
        return ConnectionFailed(f"no word {within}; nothing was sent")
