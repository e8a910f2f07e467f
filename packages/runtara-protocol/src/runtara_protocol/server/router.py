"""From a request's field to its handler, and from whatever comes of it to an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
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
# Small answers are always sent. Larger ones of concurrent requests, each of which fitted into the
# room at its request, may exceed the room now.
_SMALL = 4096

# Its text has files, hosts and statements, which a client must not see.
_DATABASE_FAILED = (
    "The database failed or gave no answer: whether anything was stored is unknown;"
    " the server's log says why"
)
_OUT_OF_MEMORY = "The server has no memory left for it"
_FAILED = "The server failed; its log says why"

_log = logging.getLogger(__name__)


class MalformedRequest(Exception):
    """The payload of a request frame is no RpcRequest."""


class BrokenOff(Exception):
    """The client gave up what it was sending, so its stream is of no more use."""


@dataclass(frozen=True, slots=True)
class LargeAnswer(Generic[ResponseT]):
    """An answer that is large, to be read when there is room for it."""

    read: Callable[[], Awaitable[ResponseT]]


# The key of a handler says which message it takes; its type can't.
Handler: TypeAlias = Callable[
    [CoreT, CallT, Any], Awaitable[ResponseT | LargeAnswer[ResponseT] | None]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTable(Generic[CoreT, CallT, ResponseT]):
    """
    The operations of one protocol.

    parse: parses an RpcRequest, or raises DecodeError. handlers: by the field of its oneof
    `request`. large_answers: the operations with answers of up to 64 MiB; only a few of them run at
    once, so that the undelivered bytes are known before the next. is_read: whether an answer would
    be the same for a repeated request. refusal: makes an answer of operation, code and message.
    """

    parse: Callable[[bytes], Message]
    handlers: Mapping[str, Handler[CoreT, CallT, ResponseT]]
    large_answers: frozenset[str]
    is_read: Callable[[ResponseT], bool]
    refusal: Callable[[str | None, str, str], ResponseT]


class Router(Generic[CoreT, CallT, ResponseT]):
    """Answers requests by the handlers of a table, for every connection."""

    def __init__(self, table: OperationTable[CoreT, CallT, ResponseT], core: CoreT) -> None:
        self._table = table
        self._core = core
        self._is_ending = False
        self._large_answers = asyncio.Semaphore(_AT_ONCE)

    def end(self) -> None:
        """Refuse from now on whatever has not been begun, with SHUTTING_DOWN."""
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
        has_room: whether there is room for a large answer, which is dropped otherwise.

        Raises MalformedRequest, NoAnswer if no answer must be sent, and BrokenOff. Every other
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
            async with self._admission(operation):
                handler = self._admitted(operation, is_overloaded)
                work = handler(self._core, call, getattr(message, operation))
                del message  # A sleep's answer may be held for years; the request must not be.
                answer = await work
            return await self._finish(operation, answer, lambda: is_overloaded() or not has_room())
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

    def _admission(self, operation: str | None) -> AbstractAsyncContextManager[None]:
        is_large = operation in self._table.large_answers
        return self._large_answers if is_large else nullcontext()

    def _admitted(
        self, operation: str, is_overloaded: Callable[[], bool]
    ) -> Handler[CoreT, CallT, ResponseT]:
        handler = self._table.handlers.get(operation)
        if handler is None:
            raise EmptyRequest("The request holds no operation this server knows")
        if self._is_ending:
            raise ShuttingDown("This server is shutting down: try again in a moment, or another")
        _require_room(is_overloaded)
        return handler

    async def _finish(
        self,
        operation: str | None,
        answer: ResponseT | LargeAnswer[ResponseT] | None,
        is_overloaded: Callable[[], bool],
    ) -> bytes | None:
        if isinstance(answer, LargeAnswer):
            async with self._large_answers:
                _require_room(is_overloaded)
                answer = await answer.read()
        if answer is None:
            return None
        payload = self._fitting(operation, answer)
        # The size is not computed before: that takes as long as serializing it.
        if len(payload) > _SMALL and self._table.is_read(answer):
            _require_room(is_overloaded)
        return payload

    def _fitting(self, operation: str | None, response: ResponseT) -> bytes:
        payload = response.SerializeToString()
        if len(payload) <= MAX_PAYLOAD:
            return payload
        said = f"The answer of {len(payload)} bytes is over the {MAX_PAYLOAD} that fit a frame"
        return self._table.refusal(operation, CoreError.code, said).SerializeToString()


def _require_room(is_overloaded: Callable[[], bool]) -> None:
    if is_overloaded():
        raise Overloaded(
            "Too much is under way on this connection, or waits to be read from it or by others:"
            " read what has come, and ask again in a moment"
        )
