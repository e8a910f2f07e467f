"""Durable steps with our SDK, the core over QUIC; see `benchmarks.steps`."""

import asyncio
import itertools
import time
from contextlib import AsyncExitStack

import uvloop
from serving import RESULT, serve

from runtara_sdk import Settings, step, workflow
from runtara_sdk.workflow import Outcome, execute
from runtara_sdk.workflow.process.core_store import connected

_numbers = itertools.count()


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


async def run(at_once: int, count: int) -> float:
    """Run so many; connected before it counts, as the others are."""
    names = [f"{time.time_ns()}-{next(_numbers)}" for _ in range(at_once)]
    async with AsyncExitStack() as stack:
        journals = [
            await stack.enter_async_context(connected(Settings(instance_id=name))) for name in names
        ]
        # A client connects when it is first used; the core doesn't know these instances yet.
        tried = (journal.read("nothing") for journal in journals)
        await asyncio.gather(*tried, return_exceptions=True)
        start = time.perf_counter()
        all_ended = await asyncio.gather(
            *(execute(steps, journal, str(count).encode()) for journal in journals)
        )
        seconds = time.perf_counter() - start
    assert all(ended.outcome is Outcome.DONE for ended in all_ended), all_ended
    return seconds


if __name__ == "__main__":
    uvloop.run(serve(run))
