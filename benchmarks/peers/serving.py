"""
What every program under measurement does: run so many workflows, whenever it is asked.

Of the standard library alone, because each program runs in an environment of its own.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

RESULT = "x" * 200
"""What every step returns."""


async def serve(run: Callable[[int, int], Awaitable[float]]) -> None:
    """
    Say that it is ready, and run what each line of input asks for, to the input's end.

    A line is two numbers: how many workflows at once, and of how many steps each, or how many in
    all. The answer is `run`'s, in seconds.
    """
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        at_once, steps = map(int, line.split())
        print(await run(at_once, steps), flush=True)


async def at_most(at_once: int, count: int, work: Callable[[], Awaitable[None]]) -> None:
    """Do a piece of work so many times, at most so many at once."""
    left = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in left:
            await work()

    await asyncio.gather(*(one_after_the_other() for _ in range(min(at_once, count))))
