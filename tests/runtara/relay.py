"""Workflows that note when their steps begin and end: run as a program, a worker of them."""

import asyncio
import os
import sys
import time
from pathlib import Path

from runtara import Promise, serve, step, workflow

WORD = Promise("word", int)


def note(what: str) -> None:
    """Write down what happens, and when, for a test to read."""
    with Path(os.environ["RELAY_NOTES"]).open("a") as notes:
        notes.write(f"{time.time():.3f} {os.getpid()} {what}\n")


@step
async def leg(runner: str, number: int, pause: float) -> bool:
    """Take so long; tell whether it was the last one."""
    note(f"{runner} {number} begun")
    await asyncio.sleep(pause)
    note(f"{runner} {number} ended")
    return os.path.exists(os.environ["RELAY_NOTES"] + ".over")  # noqa: ASYNC240


@workflow
async def relay(runner: str, pause: float) -> int:
    """Run one leg after the other."""
    number = 0
    while not await leg(runner, number, pause):
        number += 1
    return number


@workflow(suspend_after="10m")
async def told(runner: str) -> int:
    """Wait in a process for a word, and run a leg."""
    word = await WORD.get()
    await leg(runner, 0, 0.0)
    return word


WORKFLOWS = (relay, told)

if __name__ == "__main__":
    asyncio.run(serve(*WORKFLOWS, concurrency=int(sys.argv[1])))
