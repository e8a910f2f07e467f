"""
A bare echo over the server's transport: `python -m tests.hostile.echo`; it prints its port.

It answers with as much as the server where an attack asks for the largest state.
"""

import asyncio
import sys

import uvloop
from tests.hostile.attacks import ASKS_FOR_LARGEST, LARGEST
from tests.support.quic_handlers import Echo, read_all, serving

from runtara_protocol.quic.stream import Stream


class Bare(Echo):
    """Sends each stream back, or the largest answer as long as there is room."""

    async def stream(self, stream: Stream) -> None:
        """Answer it."""
        request = await read_all(stream)
        if request != ASKS_FOR_LARGEST:
            stream.send(request)
        elif not self.connection.is_overloaded() and self.connection.has_room():
            stream.send(bytes(LARGEST))


async def main() -> None:
    """Serve until killed."""
    async with serving(Bare) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
