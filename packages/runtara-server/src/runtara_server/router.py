"""From a request's field to its handler, and from whatever comes of it to an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from types import MappingProxyType
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from runtara_domain.error import (
    CoreError,
    DatabaseError,
    EmptyRequest,
    NoAnswer,
    Overloaded,
    ShuttingDown,
)
from runtara_domain.ports.transport import Operations, Request
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import checkpoints, events, instances, signals

# The key says which message a handler takes: a type can't.
Answer: TypeAlias = pb.RpcResponse | checkpoints.LargeAnswer | None
Handler: TypeAlias = Callable[[Operations, Request, Any], Awaitable[Answer]]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "register_instance": instances.register_instance,
        "get_instance_status": instances.get_instance_status,
        "start_child": instances.start_child,
        "checkpoint": checkpoints.checkpoint,
        "get_checkpoint": checkpoints.get_checkpoint,
        "list_checkpoints": checkpoints.list_checkpoints,
        "sleep": checkpoints.sleep,
        "retry_attempt": checkpoints.retry_attempt,
        "instance_event": events.instance_event,
        "instance_event_batch": events.instance_event_batch,
        "poll_signals": signals.poll_signals,
        "signal_ack": signals.signal_ack,
    }
)

# A request of a few bytes may be answered with 64 MiB: so few of these are read at once that what
# waits for delivery is known before the next.
_LARGE_ANSWERS = frozenset({"get_checkpoint", "get_instance_status", "list_checkpoints"})
_READS = _LARGE_ANSWERS | {"poll_signals"}
_AT_ONCE = 4
# Small answers are given whatever waits. Others whose requests came together, each small enough
# for room there was then, may be more than there is now.
_SMALL = 4096

# What it says of itself names files, hosts and statements, which are none of a client's business.
_DATABASE_FAILED = (
    "The database failed or gave no answer: whether anything was stored is unknown;"
    " the server's log says why"
)

_log = logging.getLogger(__name__)


class MalformedRequest(Exception):
    """The payload of a request frame is no RpcRequest."""


class Router:
    """Answers requests with the core's operations, for every session."""

    def __init__(self, core: Operations) -> None:
        self._core = core
        self._is_ending = False
        self._large_answers = asyncio.Semaphore(_AT_ONCE)

    def end(self) -> None:
        """Refuse from now on whatever has not been begun, with SHUTTING_DOWN."""
        self._is_ending = True

    async def answer(
        self,
        request: Request,
        payload: bytes,
        *,
        is_overloaded: Callable[[], bool] = lambda: False,
        has_room: Callable[[], bool] = lambda: True,
    ) -> bytes | None:
        """
        Carry out one request and give the payload of its answer, None if it has none.

        is_overloaded: whether too much waits for this client already; then it is refused.
        has_room: whether there is room for a large answer, which is dropped otherwise.

        Raises MalformedRequest, and NoAnswer if there is to be no answer; everything else that
        goes wrong is one.
        """
        try:
            message = pb.RpcRequest.FromString(payload)
        except DecodeError as error:
            raise MalformedRequest(str(error)) from error
        del payload
        operation = message.WhichOneof("request")
        try:
            async with self._admission(operation):
                self._check(operation, is_overloaded)
                work = HANDLERS[operation](self._core, request, getattr(message, operation))
                del message  # A sleep may hold its answer for years, but not what it brought.
                answer = await work
            response = await self._finish(answer, lambda: is_overloaded() or not has_room())
        except DatabaseError as error:
            _log.error("database failed", extra={"operation": operation, "reason": str(error)})
            response = _refusal(operation, error.code, _DATABASE_FAILED)
        except CoreError as error:
            response = _refusal(operation, error.code, str(error))
        except NoAnswer:
            raise
        except MemoryError:
            _log.error("request refused: out of memory", extra={"operation": operation})
            response = _refusal(operation, Overloaded.code, "The server has no memory left for it")
        except Exception:
            _log.exception("request failed", extra={"operation": operation})
            response = _refusal(operation, CoreError.code, "The server failed; its log says why")
        return None if response is None else _fitting(operation, response)

    def _admission(self, operation: str | None) -> AbstractAsyncContextManager[None]:
        return self._large_answers if operation in _LARGE_ANSWERS else nullcontext()

    def _check(self, operation: str | None, is_overloaded: Callable[[], bool]) -> None:
        if operation not in HANDLERS:
            raise EmptyRequest("The request holds no operation this server knows")
        if self._is_ending:
            raise ShuttingDown("This server is shutting down: try again in a moment, or another")
        _require_room(is_overloaded)

    async def _finish(
        self, answer: Answer, is_overloaded: Callable[[], bool]
    ) -> pb.RpcResponse | None:
        if isinstance(answer, checkpoints.LargeAnswer):
            async with self._large_answers:
                _require_room(is_overloaded)
                answer = await answer.read()
        if answer is not None and _may_be_dropped(answer):
            _require_room(is_overloaded)
        return answer


def _require_room(is_overloaded: Callable[[], bool]) -> None:
    if is_overloaded():
        raise Overloaded(
            "Too much is under way on this connection, or waits to be read from it or by others:"
            " read what has come, and ask again in a moment"
        )


def _may_be_dropped(response: pb.RpcResponse) -> bool:
    """Tell whether nothing was done for it that its being asked again would not find so."""
    is_read = response.WhichOneof("response") in _READS or response.checkpoint.found
    return is_read and response.ByteSize() > _SMALL


def _refusal(operation: str | None, code: str, message: str) -> pb.RpcResponse:
    if operation == "register_instance":
        return pb.RpcResponse(
            register_instance=pb.RegisterInstanceResponse(success=False, error=message, code=code)
        )
    return pb.RpcResponse(error=pb.RpcError(code=code, message=message))


def _fitting(operation: str | None, response: pb.RpcResponse) -> bytes:
    payload = response.SerializeToString()
    if len(payload) <= MAX_PAYLOAD:
        return payload
    message = f"The answer of {len(payload)} bytes is over the {MAX_PAYLOAD} that fit a frame"
    return _refusal(operation, CoreError.code, message).SerializeToString()
