"""One connection's streams: a request frame in, its answer out."""

import asyncio

from runtara_domain.error import NoAnswer
from runtara_domain.sessions import Session
from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.quic.stream import Stream
from runtara_server.router import MalformedRequest, Router

PROGRESS_TIMEOUT = 30.0  # seconds without another byte of an unfinished frame

_REQUESTS = frozenset({MessageType.REQUEST})


class InstanceStreams:
    """Serves one connection's streams for as long as its session lasts."""

    def __init__(self, session: Session, router: Router) -> None:
        self._session = session
        self._router = router

    async def stream(self, stream: Stream) -> None:
        """Answer the one request of a stream, or refuse the stream if its bytes are none."""
        try:
            payload = await self._router.answer(self._session, await _request(stream))
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


async def _request(stream: Stream) -> bytes:
    decoder = FrameDecoder(accept=_REQUESTS)
    while True:
        async with asyncio.timeout(PROGRESS_TIMEOUT):
            piece = await stream.receive()
        if not piece:
            decoder.end()
        payload = decoder.feed(piece)
        if payload is not None:
            return payload
