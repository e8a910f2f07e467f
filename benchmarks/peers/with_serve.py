"""
Durable steps with our worker and client, as users have them; see `benchmarks.steps`.

The core is where the variables say: on a database in this process and the worker's child, or behind
servers.
"""

import asyncio
import time

import uvloop
from serving import RESULT, serve

from runtara import Worker, connect, step, workflow

PATIENCE = "10m"


@step
async def work(number: int) -> str:
    """Do nothing."""
    return RESULT


@workflow
async def steps(count: int) -> int:
    """Take one step after the other."""
    for number in range(count):
        await work(number)
    return count


async def main() -> None:
    """Measure with a worker that is ready before anything counts, as the others are."""
    async with connect() as client, Worker(steps, concurrency=100):

        async def run(at_once: int, count: int) -> float:
            start = time.perf_counter()
            handles = await asyncio.gather(*(client.start(steps, count) for _ in range(at_once)))
            done = await asyncio.gather(*(handle.result(PATIENCE) for handle in handles))
            seconds = time.perf_counter() - start
            assert done == [count] * at_once, done
            return seconds

        await serve(run)


if __name__ == "__main__":
    uvloop.run(main())
