"""From a request's field to its handler, and from whatever comes of it to an answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import structlog
from google.protobuf.message import DecodeError

from runtara_domain.error import (
    CoreError,
    DatabaseError,
    EmptyRequest,
    NoAnswer,
    Overloaded,
    ShuttingDown,
)
from runtara_domain.ports.transport import Operations, Unread, read_to_the_end
from runtara_domain.sessions import Session
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import checkpoints, events, instances, signals

# The key says which message a handler takes: a type can't.
Answer: TypeAlias = pb.RpcResponse | checkpoints.LargeAnswer | None
Handler: TypeAlias = Callable[[Operations, Session, Any], Awaitable[Answer]]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "register_instance": instances.register_instance,
        "get_instance_status": instances.get_instance_status,
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
_AT_ONCE = 4
# Small answers are given whatever waits. Others whose requests came together, each small enough
# for room there was then, may be more than there is now.
_SMALL = 4096

_log = structlog.get_logger(__name__)


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
        session: Session,
        payload: bytes,
        *,
        is_overloaded: Callable[[], bool] = lambda: False,
        unread: Unread = read_to_the_end,
    ) -> bytes | None:
        """
        Carry out one request and give the payload of its answer, None if it has none.

        is_overloaded: whether there is too much to deliver already; then it is refused. unread:
        tells when nobody wants the answer any more, so that nothing is waited for.

        Raises MalformedRequest, and NoAnswer if there is to be no answer; everything else that
        goes wrong is one.
        """
        try:
            request = pb.RpcRequest.FromString(payload)
        except DecodeError as error:
            raise MalformedRequest(str(error)) from error
        operation = request.WhichOneof("request")
        try:
            response = await self._admit(session, operation, request, is_overloaded, unread)
        except DatabaseError as error:
            _log.error("database failed", operation=operation, reason=str(error))
            response = _refusal(operation, error.code, str(error))
        except CoreError as error:
            response = _refusal(operation, error.code, str(error))
        except NoAnswer:
            raise
        except Exception:
            _log.exception("request failed", operation=operation)
            response = _refusal(operation, CoreError.code, "The server failed; its log says why")
        return None if response is None else _fitting(operation, response)

    async def _admit(
        self,
        session: Session,
        operation: str | None,
        request: pb.RpcRequest,
        is_overloaded: Callable[[], bool],
        unread: Unread,
    ) -> pb.RpcResponse | None:
        if operation in _LARGE_ANSWERS:
            async with self._large_answers:
                answer = await self._carry_out(session, operation, request, is_overloaded, unread)
        else:
            answer = await self._carry_out(session, operation, request, is_overloaded, unread)
        if isinstance(answer, checkpoints.LargeAnswer):
            async with self._large_answers:
                _require_room(is_overloaded)
                return await answer.read()
        if answer is not None and _may_be_dropped(answer):
            _require_room(is_overloaded)
        return answer

    async def _carry_out(
        self,
        session: Session,
        operation: str | None,
        request: pb.RpcRequest,
        is_overloaded: Callable[[], bool],
        unread: Unread,
    ) -> Answer:
        if operation is None:
            raise EmptyRequest("The request holds no operation this server knows")
        if self._is_ending:
            raise ShuttingDown("This server is shutting down: try again in a moment, or another")
        _require_room(is_overloaded)
        if operation == "poll_signals":
            return await signals.poll_signals(self._core, session, request.poll_signals, unread)
        return await HANDLERS[operation](self._core, session, getattr(request, operation))


def _require_room(is_overloaded: Callable[[], bool]) -> None:
    if is_overloaded():
        raise Overloaded(
            "Too much is under way on this connection, or waits to be read from it:"
            " wait for some of it, or use another connection"
        )


def _may_be_dropped(response: pb.RpcResponse) -> bool:
    """Tell whether nothing was done for it that its being asked again would not find so."""
    is_read = response.HasField("poll_signals") or response.checkpoint.found
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
