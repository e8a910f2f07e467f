"""Calls: sent again while that can help and cannot harm, until their timeout is over."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType

from runtara_protocol.pb.instance_pb2 import RpcRequest, RpcResponse
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import ConnectionLost
from runtara_sdk.client.backoff import delay
from runtara_sdk.client.connection import CommonConnection, SharedConnection, servers
from runtara_sdk.client.deadline import CallDeadline
from runtara_sdk.client.exchange import exchange
from runtara_sdk.client.liveness import Liveness
from runtara_sdk.client.outage import OutageLog
from runtara_sdk.client.retry import NOT_CARRIED_OUT, Retry
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import (
    ConnectionFailed,
    InstanceSuperseded,
    InvalidInstanceState,
    RequestTimeout,
    RuntaraError,
)
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_NOT_EXTENDED = nullcontext()


@dataclass(slots=True)
class _Call:
    """
    A call under way; `failure`: the error of its last try, None while an answer may still come.

    `is_held`: the server may hold the answer back.
    """

    is_repeatable: bool
    is_held: bool
    failure: RuntaraError | None = None
    is_sent: bool = False


class Calls:
    """
    All calls of one client, over one connection; see docs/decisions/0005.

    Once the server has said that the instance's run is superseded, the client sends no more calls.
    Each later call raises InstanceSuperseded, and so does, at once, a call whose answer is held.
    """

    def __init__(
        self, settings: Settings, retry: Retry, common: CommonConnection | None = None
    ) -> None:
        self._common = common
        if common is None:
            self._connection = SharedConnection(
                servers(settings), self._greet, origin=settings.origin()
            )
        else:
            self._connection = common.connection
            common.join(self._greet_in_common)
        # Not the timeout of a call, which is long for workflows: a dead server must show sooner.
        self._liveness = Liveness(settings.request_timeout_ms / 1000)
        self._retry = retry
        self._outage = OutageLog(retry)
        self._greeting: RpcRequest | None = None
        self._superseded: str | None = None
        self._runs = 0
        self._held: set[CallDeadline] = set()

    def begin_run(self) -> None:
        """Begin a new run: if a call of the former run is superseded, only that call ends."""
        self._runs += 1
        self._greeting = None

    def continue_run(self, request: RpcRequest) -> None:
        """Send this first on each new connection, so that the server sees whose run it is."""
        self._greeting = request

    async def ask(
        self,
        request: RpcRequest | Callable[[], RpcRequest],
        *,
        is_repeatable: bool = True,
        hold: float | None = 0.0,
    ) -> RpcResponse:
        """
        Send a request and return the answer to it, within the timeout.

        `is_repeatable`: a request executed twice has the effect of one. `hold`: the seconds for
        which the server may hold the answer back; None: for any time. While the answer is held the
        timeout stands still; after a hold as long as the whole timeout, the timeout begins anew. It
        thus bounds only the time in which no server holds the answer, such as an outage.

        A request given as a function is made anew each time it is sent. Raises ServerError if the
        server refuses, ConnectionFailed, RequestTimeout or ProtocolError.
        """
        call = _Call(is_repeatable, is_held=hold != 0)
        async with _InTime(self, call) as deadline:
            while True:
                connection = await self._connected(call, deadline)
                extended = deadline.extended(hold) if call.is_held else _NOT_EXTENDED
                try:
                    with self._liveness.doubted(connection), extended:
                        made = request if isinstance(request, RpcRequest) else request()
                        response = await exchange(connection, made)
                except ConnectionLost as error:
                    call.failure = await self._connection.lost(connection, error)
                    if not is_repeatable:
                        raise call.failure from error
                except RuntaraError as error:
                    await self._wait_after(call, error, deadline)
                else:
                    self._connection.answered()
                    return response

    async def _connected(self, call: _Call, deadline: CallDeadline) -> ClientConnection:
        """Return a connection for the call, trying to open one until the call's timeout is over."""
        while True:
            try:
                connection = await self._connection.connected()
            except ConnectionFailed as error:
                # Nothing was sent, and the shared connection waits before it tries again.
                call.failure = error
                self._outage.failed(error, deadline.left)
            else:
                call.is_sent, call.failure = True, None
                return connection

    async def aclose(self) -> None:
        """Close the connection, unless other clients share it; calls under way raise."""
        if self._common is None:
            await self._connection.aclose()
        else:
            self._common.leave(self._greet_in_common)
            self._stop("this client was closed while a call was under way")

    def _stop(self, reason: str) -> None:
        self._superseded = reason
        for deadline in self._held:
            deadline.end()

    async def _wait_after(self, call: _Call, failure: RuntaraError, deadline: CallDeadline) -> None:
        repeated_after = self._retry.transient if call.is_repeatable else NOT_CARRIED_OUT
        if not isinstance(failure, repeated_after):
            raise failure
        call.failure = failure
        self._outage.failed(failure, deadline.left)
        deadline.failures += 1
        await asyncio.sleep(delay(deadline.failures))

    async def _greet(self, connection: ClientConnection) -> None:
        if self._greeting is None:
            return
        try:
            await exchange(connection, self._greeting)
        except InvalidInstanceState as error:
            # The instance has ended. Perhaps this client ended it, the answer was lost with the old
            # connection, and the call is about to be repeated: the server judges each call itself.
            run = self._greeting.register_instance.continue_run
            logger.info("run %d is not continued: %s", run, error)
        except self._retry.transient as error:
            raise ConnectionLost(str(error)) from error

    async def _greet_in_common(self, connection: ClientConnection) -> None:
        try:
            await self._greet(connection)
        except InstanceSuperseded as error:
            self._stop(str(error))
        except RuntaraError as error:
            # Only this run is concerned: the server will judge its next call by itself.
            logger.warning("a run is not continued on a new connection: %s", error)

    def _time_up(self, call: _Call) -> RuntaraError:
        """Return the error of a call whose timeout is over, or whose run is superseded."""
        if self._superseded is not None:
            return InstanceSuperseded(self._superseded)
        if call.failure is not None:
            return call.failure
        within = f"from the core at {self._connection.addresses} within {self._retry.timeout:g} s"
        if call.is_sent:
            return RequestTimeout(f"no answer {within}; whether it executed the request is unknown")
        return ConnectionFailed(f"no answer {within}; nothing was sent")


class _InTime:
    """
    A block with a call's timeout. It raises a call's failure as `Retry.translate` translates it.

    When the call shows that the run is superseded, all other held calls end, too.
    """

    def __init__(self, calls: Calls, call: _Call) -> None:
        self._calls, self._call, self._run = calls, call, calls._runs
        self._retry = calls._retry
        if calls._superseded is not None:
            raise self._translated(calls._time_up(call))
        self._limit = asyncio.timeout(self._retry.timeout)

    def _translated(self, error: RuntaraError) -> RuntaraError:
        return self._retry.translate(error, self._retry.timeout)

    async def __aenter__(self) -> CallDeadline:
        await self._limit.__aenter__()
        self._deadline = CallDeadline(self._limit, self._retry.timeout)
        if self._call.is_held:
            self._calls._held.add(self._deadline)
        return self._deadline

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._calls._held.discard(self._deadline)
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError as over:
            error = over
        if isinstance(error, InstanceSuperseded) and self._run == self._calls._runs:
            self._calls._stop(str(error))
        ended = self._calls._time_up(self._call) if isinstance(error, TimeoutError) else error
        if isinstance(ended, RuntaraError):
            raised = self._translated(ended)
            if raised is not error:
                raise raised from (ended.__cause__ if raised is ended else ended)
