"""Finds the handler of a request, and makes an answer of its result or error."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from google.protobuf.message import DecodeError, Message

from runtara_domain.error import (
    CoreError,
    DatabaseError,
    EmptyRequest,
    NoAnswer,
    Overloaded,
    ShuttingDown,
)
from runtara_protocol.frame import MAX_PAYLOAD

CoreT = TypeVar("CoreT")
CallT = TypeVar("CallT")
ResponseT = TypeVar("ResponseT", bound=Message)

_AT_ONCE = 4
# Answers up to this size are always sent. Larger ones are checked again when they are ready: there
# was room at each request, but the answers of concurrent requests together may exceed it.
_SMALL = 4096

# A client must not see the error's own text, which has files, hosts and statements.
_DATABASE_FAILED = (
    "The database failed or did not answer, and whether anything was stored is unknown: repeat the"
    " request; the server's log has the reason"
)
_OVERLOADED = (
    "Too many requests are under way on this connection, or too many answers are unread by this"
    " client or all clients together: read the answers, and try again in a moment"
)
_OUT_OF_MEMORY = "The server has not enough memory for this request: try again in a moment"
_FAILED = "The request failed by an error of the server; the server's log has the reason"

_log = logging.getLogger(__name__)


class MalformedRequest(Exception):
    """The payload of a request frame is no RpcRequest."""


class BrokenOff(Exception):
    """The client stopped sending its request, so the stream can't be used any more."""


@dataclass(slots=True, eq=False, repr=False)
class LargeAnswer(Generic[ResponseT]):
    """A large answer; `read` makes it once there is room for it."""

    read: Callable[[], Awaitable[ResponseT]]


# Any: the message that a handler takes depends on the handler's key, which a type can't express.
Handler: TypeAlias = Callable[
    [CoreT, CallT, Any], Awaitable[ResponseT | LargeAnswer[ResponseT] | None]
]


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class OperationTable(Generic[CoreT, CallT, ResponseT]):
    """
    The operations of one protocol.

    parse: parses an RpcRequest, or raises DecodeError. handlers: by the field name in the request's
    oneof `request`. large_answers: the operations with answers of up to 64 MiB; few of them run at
    once, so that the undelivered bytes are known before the next one begins. is_read: whether a
    repeated request would get the same answer. refusal: makes an answer of an operation, a code and
    a message.
    """

    parse: Callable[[bytes], Message]
    handlers: Mapping[str, Handler[CoreT, CallT, ResponseT]]
    large_answers: frozenset[str]
    is_read: Callable[[ResponseT], bool]
    refusal: Callable[[str | None, str, str], ResponseT]


class Router(Generic[CoreT, CallT, ResponseT]):
    """Answers the requests of all connections with the handlers of a table."""

    def __init__(self, table: OperationTable[CoreT, CallT, ResponseT], core: CoreT) -> None:
        self._table = table
        self._core = core
        self._is_ending = False
        self._large_answers = asyncio.Semaphore(_AT_ONCE)

    def end(self) -> None:
        """From now on answer every new request with SHUTTING_DOWN."""
        self._is_ending = True

    async def answer(
        self,
        call: CallT,
        payload: bytes,
        *,
        is_overloaded: Callable[[], bool] = lambda: False,
        has_room: Callable[[], bool] = lambda: True,
    ) -> bytes | None:
        """
        Execute one request and return the payload of its answer; None if it has none.

        is_overloaded: whether this client leaves too much unread; the request is then refused.
        has_room: whether there is room for a large answer; without room the answer is a refusal.

        Raises MalformedRequest, BrokenOff, and NoAnswer if no answer must be sent. Every other
        error becomes an answer.
        """
        table = self._table
        try:
            message = table.parse(payload)
        except DecodeError as error:
            raise MalformedRequest(str(error)) from error
        del payload
        operation = message.WhichOneof("request")
        try:
            begin = self._in_line if operation in table.large_answers else self._admitted
            work = begin(operation, call, message, is_overloaded)
            del message  # A sleep's answer may take years; the request must not stay in memory.
            answer = await work
            return await self._finish(operation, answer, is_overloaded, has_room)
        except DatabaseError as error:
            _log.error("database failed", extra={"operation": operation, "reason": str(error)})
            response = table.refusal(operation, error.code, _DATABASE_FAILED)
        except CoreError as error:
            response = table.refusal(operation, error.code, str(error))
        except (NoAnswer, BrokenOff):
            raise
        except MemoryError:
            _log.error("request refused: out of memory", extra={"operation": operation})
            response = table.refusal(operation, Overloaded.code, _OUT_OF_MEMORY)
        except Exception:
            _log.exception("request failed", extra={"operation": operation})
            response = table.refusal(operation, CoreError.code, _FAILED)
        return self._fitting(operation, response)

    async def _in_line(
        self, operation: str, call: CallT, message: Message, is_overloaded: Callable[[], bool]
    ) -> ResponseT | LargeAnswer[ResponseT] | None:
        async with self._large_answers:
            return await self._admitted(operation, call, message, is_overloaded)

    def _admitted(
        self, operation: str, call: CallT, message: Message, is_overloaded: Callable[[], bool]
    ) -> Awaitable[ResponseT | LargeAnswer[ResponseT] | None]:
        handler = self._table.handlers.get(operation)
        if handler is None:
            raise EmptyRequest("This server does not know the requested operation: use a newer one")
        if self._is_ending:
            raise ShuttingDown("The server is shutting down: try again in a moment, or another")
        if is_overloaded():
            raise Overloaded(_OVERLOADED)
        return handler(self._core, call, getattr(message, operation))

    async def _finish(
        self,
        operation: str | None,
        answer: ResponseT | LargeAnswer[ResponseT] | None,
        is_overloaded: Callable[[], bool],
        has_room: Callable[[], bool],
    ) -> bytes | None:
        if isinstance(answer, LargeAnswer):
            async with self._large_answers:
                _require_room(is_overloaded, has_room)
                answer = await answer.read()
        if answer is None:
            return None
        payload = self._fitting(operation, answer)
        # The size is checked after serializing, because computing it takes as long.
        if len(payload) > _SMALL and self._table.is_read(answer):
            _require_room(is_overloaded, has_room)
        return payload

    def _fitting(self, operation: str | None, response: ResponseT) -> bytes:
        payload = response.SerializeToString()
        if len(payload) <= MAX_PAYLOAD:
            return payload
        said = f"The answer has {len(payload)} bytes, but a frame takes at most {MAX_PAYLOAD}"
        return self._table.refusal(operation, CoreError.code, said).SerializeToString()


def _require_room(is_overloaded: Callable[[], bool], has_room: Callable[[], bool]) -> None:
    if is_overloaded() or not has_room():
        raise Overloaded(_OVERLOADED)
