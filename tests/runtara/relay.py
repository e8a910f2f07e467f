"""Workflows that note when their steps begin and end: run as a program, a worker of them."""

import asyncio
import os
import sys
import time
from pathlib import Path

from runtara import Promise, serve, sleep, step, workflow

WORD = Promise("word", int)


def note(what: str) -> None:
    """Write down what happens, and when, for a test to read."""
    with Path(os.environ["RELAY_NOTES"]).open("a") as notes:
        notes.write(f"{time.time():.3f} {os.getpid()} {what}\n")


@step
async def leg(runner: str, number: int, pause: float) -> int:
    """Take so long."""
    note(f"{runner} {number} begun")
    await asyncio.sleep(pause)
    note(f"{runner} {number} ended")
    return number


@workflow
async def relay(runner: str, legs: int, pause: float) -> int:
    """Run one leg after the other."""
    for number in range(legs):
        await leg(runner, number, pause)
    return legs


@workflow
async def nap(runner: str, seconds: float) -> str:
    """Sleep in a process, and run a leg."""
    await sleep(seconds)
    await leg(runner, 0, 0.0)
    return "rested"


@workflow
async def told(runner: str) -> int:
    """Wait in a process for a word, and run a leg."""
    word = await WORD.get()
    await leg(runner, 0, 0.0)
    return word


WORKFLOWS = (relay, nap, told)

if __name__ == "__main__":
    asyncio.run(serve(*WORKFLOWS, concurrency=int(sys.argv[1])))
