"""
What every program under measurement does: workflows of so many steps, whenever it is asked.

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

    A line is how many workflows at once and of how many steps each; the answer is `run`'s, in
    seconds.
    """
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        at_once, steps = map(int, line.split())
        print(await run(at_once, steps), flush=True)
