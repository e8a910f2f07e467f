"""Calls: asked again while that can help and cannot harm, until their time is up."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
from runtara_sdk.liveness import Liveness
from runtara_sdk.patience import Patience

NOT_CARRIED_OUT = (Overloaded, ShuttingDown)
"""Refusals by which the server says that it did nothing: whatever was asked may be asked again."""

TRANSIENT = (*NOT_CARRIED_OUT, DatabaseFailed, RequestReset)
"""Failures that may not come a second time; a server out of time to end gives requests up."""


@dataclass(slots=True)
class _Call:
    """
    A request on its way; `failure`: what became of it last, None while it may be answered.

    `hold` is how many seconds the server may hold the answer back, None: as long as it likes.
    """

    renewed: Callable[[], RpcRequest]
    is_repeatable: bool = True
    hold: float | None = 0.0
    failure: RuntaraError | None = None
    is_sent: bool = False

    def may_repeat_after(self, failure: RuntaraError) -> bool:
        return isinstance(failure, TRANSIENT if self.is_repeatable else NOT_CARRIED_OUT)


class Calls:
    """
    All calls of one client, over one connection; see docs/decisions/0005.

    Once the server has said that the instance's run is superseded, no call is sent any more: each
    raises InstanceSuperseded, and so do at once those whose answers are held.
    """

    def __init__(self, connection: SharedConnection, timeout: float) -> None:
        self._connection = connection
        self._liveness = Liveness(timeout)
        self._timeout = timeout
        self._superseded: str | None = None
        self._runs = 0
        self._held: set[Patience] = set()

    def begin_run(self) -> None:
        """Take what is under way as of the run before: that it is superseded ends only itself."""
        self._runs += 1

    async def ask(self, request: RpcRequest, *, is_repeatable: bool = True) -> RpcResponse:
        """
        Return the answer, which is of the request's kind, within the timeout.

        `is_repeatable` says that carried out twice is as good as once. Raises ServerError for a
        refusal, ConnectionFailed, RequestTimeout, ProtocolError.
        """
        return await self._until_answered(_Call(lambda: request, is_repeatable))

    async def hold(
        self, renewed: Callable[[], RpcRequest], *, at_most: float | None = None
    ) -> RpcResponse:
        """
        Return an answer that the server holds back, for so many seconds or as long as it likes.

        The timeout bounds only the time in which no server holds it, such as an outage, and begins
        anew once it was held as long. `renewed` gives the request each time it is sent; carried out
        twice it must be as good as once. Raises what `ask` raises.
        """
        return await self._until_answered(_Call(renewed, hold=at_most))

    async def _until_answered(self, call: _Call) -> RpcResponse:
        self._stop_if_superseded()
        run = self._runs
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout) as limit:
                    with self._patience(call, limit) as patience:
                        return await self._repeat(call, patience)
        except InstanceSuperseded as error:
            if run == self._runs:
                self._stop(str(error))
            raise
        self._stop_if_superseded()
        raise call.failure or self._time_up(call)

    def _stop_if_superseded(self) -> None:
        if self._superseded is not None:
            raise InstanceSuperseded(self._superseded)

    def _stop(self, reason: str) -> None:
        self._superseded = reason
        for patience in self._held:
            patience.end()

    @contextmanager
    def _patience(self, call: _Call, limit: asyncio.Timeout) -> Iterator[Patience]:
        patience = Patience(limit, self._timeout)
        if call.hold != 0:
            self._held.add(patience)
        try:
            yield patience
        finally:
            self._held.discard(patience)

    async def _repeat(self, call: _Call, patience: Patience) -> RpcResponse:
        while True:
            try:
                connection = await self._connection.connected()
            except ConnectionFailed as error:
                # Nothing was sent, and the shared connection waits before it tries again.
                call.failure = error
                continue
            call.is_sent, call.failure = True, None
            try:
                with self._liveness.doubted(connection), patience.extended(call.hold):
                    response = await exchange(connection, call.renewed())
            except ConnectionLost as error:
                call.failure = await self._connection.lost(connection, error)
                if not call.is_repeatable:
                    raise call.failure from error
            except RuntaraError as error:
                await self._wait_after(call, error, patience)
            else:
                self._connection.answered()
                return response

    async def _wait_after(self, call: _Call, failure: RuntaraError, patience: Patience) -> None:
        if not call.may_repeat_after(failure):
            raise failure
        call.failure = failure
        patience.failures += 1
        await asyncio.sleep(delay(patience.failures))

    def _time_up(self, call: _Call) -> RuntaraError:
        within = f"from the core at {self._connection.addresses} within {self._timeout:g} s"
        if call.is_sent:
            return RequestTimeout(f"no answer {within}; whether it did what was asked is unknown")
        return ConnectionFailed(f"no word {within}; nothing was sent")
