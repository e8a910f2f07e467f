"""Calls: asked again while that can help and cannot harm, until their time is up."""

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
    A request on its way; `failure`: what became of it last, None while it may be answered.

    `is_held`: the server may hold the answer back.
    """

    is_repeatable: bool
    is_held: bool
    failure: RuntaraError | None = None
    is_sent: bool = False


class Calls:
    """
    All calls of one client, over one connection; see docs/decisions/0005.

    Once the server has said that the instance's run is superseded, no call is sent any more: each
    raises InstanceSuperseded, and so do at once those whose answers are held.
    """

    def __init__(
        self, settings: Settings, retry: Retry, common: CommonConnection | None = None
    ) -> None:
        self._common = common
        if common is None:
            self._connection = SharedConnection(servers(settings), self._greet)
        else:
            self._connection = common.connection
            common.join(self._greet_in_common)
        # Not the time of a call, which is long for workflows: a dead server is seen as soon.
        self._liveness = Liveness(settings.request_timeout_ms / 1000)
        self._retry = retry
        self._outage = OutageLog(retry)
        self._greeting: RpcRequest | None = None
        self._superseded: str | None = None
        self._runs = 0
        self._held: set[CallDeadline] = set()

    def begin_run(self) -> None:
        """Take what is under way as of the run before: that it is superseded ends only itself."""
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
        Return the answer, which is of the request's kind, within the timeout.

        `is_repeatable` says that carried out twice is as good as once. The server may hold the
        answer back for `hold` seconds, or as long as it likes if None: the timeout bounds only the
        time in which no server holds it, such as an outage, and begins anew once it was held as
        long. A request given as a function is made each time it is sent. Raises ServerError for a
        refusal, ConnectionFailed, RequestTimeout, ProtocolError.
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
        """Give the connection, however often it takes to open one; the call is sent on it next."""
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
        """Close the connection, unless others share it; calls under way raise."""
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
            # It has ended, perhaps by an ending whose answer was lost with the old connection and
            # is about to be repeated: the server judges each call by itself.
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
            # Of this run alone: its next call is judged by the server.
            logger.warning("a run is not continued on a new connection: %s", error)

    def _time_up(self, call: _Call) -> RuntaraError:
        """What ends a call whose time is up, which it is at once when the run is superseded."""
        if self._superseded is not None:
            return InstanceSuperseded(self._superseded)
        if call.failure is not None:
            return call.failure
        within = f"from the core at {self._connection.addresses} within {self._retry.timeout:g} s"
        if call.is_sent:
            return RequestTimeout(f"no answer {within}; whether it did what was asked is unknown")
        return ConnectionFailed(f"no word {within}; nothing was sent")


class _InTime:
    """
    A block that has a call's time. An end without an answer is raised as `Retry.translate` says.

    That the run is superseded ends all other calls that are held.
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
