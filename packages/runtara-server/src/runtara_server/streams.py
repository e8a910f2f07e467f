"""One connection's streams: a request frame in, its answer out."""

import asyncio

from runtara_domain.error import NoAnswer
from runtara_domain.sessions import Session
from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.quic.stream import Stream
from runtara_server.router import MalformedRequest, Router

_PROGRESS_TIMEOUT = 30.0

_REQUESTS = frozenset({MessageType.REQUEST})


class InstanceStreams:
    """
    Serves one connection's streams for as long as its session lasts.

    progress_timeout: seconds an unfinished frame may go without another byte.
    """

    def __init__(
        self, session: Session, router: Router, *, progress_timeout: float = _PROGRESS_TIMEOUT
    ) -> None:
        self._session = session
        self._router = router
        self._progress_timeout = progress_timeout

    async def stream(self, stream: Stream) -> None:
        """Answer the one request of a stream, or refuse the stream if its bytes are none."""
        try:
            request = await self._request(stream)
            payload = await self._router.answer(self._session, request)
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

    async def _request(self, stream: Stream) -> bytes:
        decoder = FrameDecoder(accept=_REQUESTS)
        while True:
            async with asyncio.timeout(self._progress_timeout):
                piece = await stream.receive()
            if not piece:
                decoder.end()
            payload = decoder.feed(piece)
            if payload is not None:
                return payload
