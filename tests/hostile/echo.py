"""A bare echo over the server's transport: `python -m tests.hostile.echo`; it prints its port."""

import asyncio
import sys

import uvloop
from tests.support.quic_handlers import Echo, serving


async def main() -> None:
    """Serve until killed."""
    async with serving(Echo) as served:
        sys.stdout.write(f"{served.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
