"""A workflow that waits for ever: run as a program, a worker of it."""

import asyncio
import os
from pathlib import Path

from runtara import Promise, serve, workflow

NEVER = Promise("never", int)


@workflow(suspend_after="0s")
async def wait(number: int) -> int:
    """Wait for what never comes; its clean-up would be noted."""
    try:
        return await NEVER.get()
    finally:
        Path(os.environ["FINALLY"]).touch()  # noqa: ASYNC240


if __name__ == "__main__":
    asyncio.run(serve(wait, concurrency=100))
