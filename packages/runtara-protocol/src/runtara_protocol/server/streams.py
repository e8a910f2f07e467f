"""Serves one connection's streams: reads a request frame, and sends the answer."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from runtara_domain.error import NoAnswer
from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_protocol.quic.stream import Stream
from runtara_protocol.server.router import BrokenOff, MalformedRequest, Router

CallT = TypeVar("CallT")

PROGRESS_TIMEOUT = 30.0
"""Seconds that an unfinished request may go without another byte."""
_MAX_UNDER_WAY = 1000

_REQUESTS = frozenset({MessageType.REQUEST})


class Upload:
    """
    The bytes that follow a request on its stream.

    first: those that came in one piece with the request's end. Once bytes are read, the client may
    send as many again.
    """

    def __init__(
        self, stream: Stream, first: bytes = b"", *, progress_timeout: float = PROGRESS_TIMEOUT
    ) -> None:
        self._stream = stream
        self._first = first
        self._progress_timeout = progress_timeout

    async def read(self) -> bytes:
        """
        Return the next bytes; b"" once the client has ended its side.

        Raises BrokenOff if the client resets the stream, or sends nothing for too long.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        self._stream.hand_back()
        try:
            async with asyncio.timeout(self._progress_timeout):
                return await self._stream.receive()
        except (StreamReset, ConnectionLost, TimeoutError) as error:
            raise BrokenOff(str(error)) from error


class RequestStreams(Generic[CallT]):
    """
    Serves one connection's streams until it is closed.

    call: makes the context that handlers get besides a request's message. It gets the stream and
    the bytes that followed the frame; without keeps_rest these are always empty. on_closed: called
    when the connection is gone. progress_timeout: seconds that an unfinished frame may go without
    another byte. is_overloaded: whether this client leaves so much unread that its requests are
    refused. has_room: whether there is room for a large answer. max_under_way: the most requests at
    once.
    """

    def __init__(
        self,
        router: Router[Any, CallT, Any],
        call: Callable[[Stream, bytes], CallT],
        on_closed: Callable[[], None],
        *,
        keeps_rest: bool = False,
        progress_timeout: float = PROGRESS_TIMEOUT,
        is_overloaded: Callable[[], bool] = lambda: False,
        has_room: Callable[[], bool] = lambda: True,
        max_under_way: int = _MAX_UNDER_WAY,
    ) -> None:
        self._router = router
        self._call = call
        self._on_closed = on_closed
        self._keeps_rest = keeps_rest
        self._progress_timeout = progress_timeout
        self._is_overloaded = is_overloaded
        self._has_room = has_room
        self._max_under_way = max_under_way
        self._under_way = 0

    async def stream(self, stream: Stream) -> None:
        """Answer the one request of a stream; refuse the stream if its bytes are no request."""
        decoder = FrameDecoder(accept=_REQUESTS, keeps_rest=self._keeps_rest)
        try:
            payload = await self._answer(await self._request(stream, decoder), stream, decoder)
        except (FrameError, MalformedRequest, TimeoutError, BrokenOff):
            stream.refuse()
            return
        except NoAnswer:
            stream.leave_open()
            return
        stream.send(b"" if payload is None else encode(MessageType.RESPONSE, payload))

    def closed(self) -> None:
        """Release everything that belongs to the connection, which is gone."""
        self._on_closed()

    async def _answer(self, payload: bytes, stream: Stream, decoder: FrameDecoder) -> bytes | None:
        # QUIC's limit of streams is not enough: a client that resets streams may open others while
        # the requests of the reset streams still run.
        is_full = self._under_way >= self._max_under_way
        self._under_way += 1
        try:
            answer = self._router.answer(
                self._call(stream, decoder.take_rest() if self._keeps_rest else b""),
                payload,
                is_overloaded=_yes if is_full else self._is_overloaded,
                has_room=self._has_room,
            )
            del payload  # It may be large, and the answer may be held for a long time.
            return await answer
        finally:
            self._under_way -= 1

    async def _request(self, stream: Stream, decoder: FrameDecoder) -> bytes:
        while True:
            # Most requests arrive as a whole: setting a timer would take longer than reading them.
            piece = await (stream.receive() if stream.is_ready else self._piece(stream))
            if not piece:
                decoder.end()
            payload = decoder.feed(piece)
            if payload is not None:
                return payload

    async def _piece(self, stream: Stream) -> bytes:
        async with asyncio.timeout(self._progress_timeout):
            return await stream.receive()


def _yes() -> bool:
    return True
