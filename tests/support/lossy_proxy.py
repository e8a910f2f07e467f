"""A UDP proxy between one client and a server that loses datagrams by a fixed pattern."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast


class LossyProxy(asyncio.DatagramProtocol):
    """Passes datagrams on in both directions, but for the share it loses; the seed fixes which."""

    def __init__(self, server: tuple[str, int], loss: float, seed: int) -> None:
        self.loss = loss
        self.lost = 0
        self.passed = 0
        self._server = server
        self._random = random.Random(seed)
        self._client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to send."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Pass it on to the other side, or lose it."""
        if address != self._server:
            self._client = address
        if self._random.random() < self.loss:
            self.lost += 1
        else:
            self.passed += 1
            self._transport.sendto(data, self._client if address == self._server else self._server)


@asynccontextmanager
async def lossy_proxy(
    server: tuple[str, int], *, loss: float, seed: int = 1
) -> AsyncIterator[tuple[LossyProxy, int]]:
    """Run a proxy before this server; yield it and its port on 127.0.0.1."""
    transport, proxy = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: LossyProxy(server, loss, seed), local_addr=("127.0.0.1", 0)
    )
    try:
        yield proxy, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
