"""What a listener in a test does with its streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from runtara_protocol.quic.certificates import Certificate, self_signed
from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect
from runtara_protocol.quic.connection import Connection, ConnectionHandler
from runtara_protocol.quic.listener import Listener, ListenerSettings
from runtara_protocol.quic.stream import Stream

Handler = TypeVar("Handler", bound=ConnectionHandler)
CERTIFICATE: Certificate = self_signed()


async def read_all(stream: Stream) -> bytes:
    """Return all the client sends until its end."""
    pieces = []
    while piece := await stream.receive():
        pieces.append(piece)
    return b"".join(pieces)


class Echo:
    """Sends each stream back."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_closed = asyncio.Event()

    async def stream(self, stream: Stream) -> None:
        """Send back what came."""
        stream.send(await read_all(stream))

    def closed(self) -> None:
        """Note it."""
        self.is_closed.set()


class Gated(Echo):
    """Notes that a request has come whole, and answers when it is let."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.answered: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(self, stream: Stream) -> None:
        """Take a request, wait for the gate, answer."""
        request = await read_all(stream)
        self.received.put_nowait(request)
        await self.gate.wait()
        stream.send(request)
        self.answered.put_nowait(request)


class Served(Generic[Handler]):
    """A listener and the handlers it has made so far."""

    def __init__(
        self, listener: Listener, handlers: list[Handler], accepted: asyncio.Event
    ) -> None:
        self.listener = listener
        self.handlers = handlers
        self._accepted = accepted
        self.port = listener.address[1]

    async def handler(self) -> Handler:
        """Return the first connection's handler, once there is one."""
        await self._accepted.wait()
        return self.handlers[0]

    async def connect(self, **changes: Any) -> ClientConnection:
        """Connect without checking the certificate, unless asked to check it."""
        return await connect(
            ClientSettings(**{"host": "127.0.0.1", "port": self.port, "verify": False, **changes})
        )


@asynccontextmanager
async def serving(
    make: Callable[[Connection], Handler], **changes: Any
) -> AsyncIterator[Served[Handler]]:
    """Listen on a free port of 127.0.0.1 with handlers made like this."""
    handlers: list[Handler] = []
    accepted = asyncio.Event()

    def accept(connection: Connection) -> Handler:
        handlers.append(make(connection))
        accepted.set()
        return handlers[-1]

    settings = ListenerSettings(
        **{"host": "127.0.0.1", "port": 0, "certificate": CERTIFICATE, **changes}
    )
    async with Listener(settings, accept) as listener:
        yield Served(listener, handlers, accepted)
