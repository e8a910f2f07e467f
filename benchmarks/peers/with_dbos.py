"""Durable steps with DBOS, which keeps them in its own process; see `benchmarks.steps`."""

import asyncio
import sys
import time

import uvloop
from dbos import DBOS
from serving import RESULT, serve


@DBOS.step()
async def work(number: int) -> str:
    """Do nothing."""
    return RESULT


@DBOS.workflow()
async def steps(count: int) -> int:
    """Take one step after the other."""
    for number in range(count):
        await work(number)
    return count


async def run(at_once: int, count: int) -> float:
    """Run so many."""
    start = time.perf_counter()
    handles = await asyncio.gather(
        *(DBOS.start_workflow_async(steps, count) for _ in range(at_once))
    )
    done = await asyncio.gather(*(handle.get_result() for handle in handles))
    seconds = time.perf_counter() - start
    assert done == [count] * at_once, done
    return seconds


if __name__ == "__main__":
    [database_url] = sys.argv[1:]
    DBOS(
        config={
            "name": "steps",
            "system_database_url": database_url,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    try:
        uvloop.run(serve(run))
    finally:
        DBOS.destroy()
