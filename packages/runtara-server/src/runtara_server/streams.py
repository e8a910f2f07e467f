"""One connection's streams: a request frame in, its answer out."""

import asyncio
from collections.abc import Callable

from runtara_domain.error import NoAnswer
from runtara_domain.ports.transport import Request
from runtara_domain.sessions import Session
from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.quic.stream import Stream
from runtara_server.router import MalformedRequest, Router

_PROGRESS_TIMEOUT = 30.0
_MAX_UNDER_WAY = 1000

_REQUESTS = frozenset({MessageType.REQUEST})


class InstanceStreams:
    """
    Serves one connection's streams for as long as its session lasts.

    progress_timeout: seconds an unfinished frame may go without another byte. is_overloaded: tells
    when so much waits for this client that nothing more is carried out. has_room: tells whether
    there is room for a large answer. max_under_way: how many requests may be carried out at once.
    """

    def __init__(
        self,
        session: Session,
        router: Router,
        *,
        progress_timeout: float = _PROGRESS_TIMEOUT,
        is_overloaded: Callable[[], bool] = lambda: False,
        has_room: Callable[[], bool] = lambda: True,
        max_under_way: int = _MAX_UNDER_WAY,
    ) -> None:
        self._session = session
        self._router = router
        self._progress_timeout = progress_timeout
        self._is_overloaded = is_overloaded
        self._has_room = has_room
        self._max_under_way = max_under_way
        self._under_way = 0

    async def stream(self, stream: Stream) -> None:
        """Answer the one request of a stream, or refuse the stream if its bytes are none."""
        try:
            payload = await self._answer(await self._request(stream), stream)
        except (FrameError, MalformedRequest, TimeoutError):
            stream.refuse()
            return
        except NoAnswer:
            stream.leave_open()
            return
        stream.send(b"" if payload is None else encode(MessageType.RESPONSE, payload))

    def closed(self) -> None:
        """End the session: the connection is gone."""
        self._session.close()

    async def _answer(self, payload: bytes, stream: Stream) -> bytes | None:
        # A client that drops its streams may open more: those it dropped are still at work.
        is_full = self._under_way >= self._max_under_way
        self._under_way += 1
        try:
            answer = self._router.answer(
                Request(self._session, stream.unread, stream.hand_back),
                payload,
                is_overloaded=lambda: is_full or self._is_overloaded(),
                has_room=self._has_room,
            )
            del payload  # It may be large, and its answer held for long.
            return await answer
        finally:
            self._under_way -= 1

    async def _request(self, stream: Stream) -> bytes:
        decoder = FrameDecoder(accept=_REQUESTS)
        while True:
            piece = await self._piece(stream)
            if not piece:
                decoder.end()
            payload = decoder.feed(piece)
            if payload is not None:
                return payload

    async def _piece(self, stream: Stream) -> bytes:
        # A request has mostly come whole: to set a timer takes longer than to read it.
        if stream.is_ready:
            return await stream.receive()
        async with asyncio.timeout(self._progress_timeout):
            return await stream.receive()
