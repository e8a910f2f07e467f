"""aioquic's own client, for what ours would never send."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived, StreamReset


class RawClient(QuicConnectionProtocol):
    """A connection whose machine tests drive by hand: `quic`, then `transmit()`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.quic = self._quic
        self.events: list[QuicEvent] = []
        self._news = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Keep it."""
        self.events.append(event)
        self._news.set()

    async def answer(self, stream_id: int) -> bytes:
        """Return all that comes down a stream until its end."""
        while not any(one.end_stream for one in self._data(stream_id)):
            await self._next()
        return b"".join(one.data for one in self._data(stream_id))

    async def reset(self, stream_id: int) -> int:
        """Return the code with which the server resets a stream."""
        while True:
            for event in self.events:
                if isinstance(event, StreamReset) and event.stream_id == stream_id:
                    return event.error_code
            await self._next()

    def _data(self, stream_id: int) -> list[StreamDataReceived]:
        return [
            event
            for event in self.events
            if isinstance(event, StreamDataReceived) and event.stream_id == stream_id
        ]

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    """Connect to this port of 127.0.0.1 without checking the certificate."""
    configuration = QuicConfiguration(is_client=True, verify_mode=ssl.CERT_NONE)
    async with connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=RawClient
    ) as client:
        assert isinstance(client, RawClient)
        yield client
