"""Workflows that tests run as processes; what they do is in a file, a line each time."""

import asyncio
import os
import time
from pathlib import Path

from runtara_sdk import TaskGroup, promise, restart_as, sleep, step, workflow


def note(line: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{line}\n")


@step
async def ten(number: int) -> int:
    note(f"ten {number}")
    await asyncio.sleep(float(os.environ.get("PACE", "0")))
    return number * 10


@step
def label(number: int) -> str:
    note(f"label {number}")
    return f"<{number}>"


@workflow(name="counting")
async def counting(count: int) -> list[str]:
    return [await label(await ten(number)) for number in range(count)]


@workflow(hold="0s")
async def napping(seconds: float) -> str:
    await ten(1)
    await sleep(seconds)
    return await label(2)


@workflow
async def asking(name: str) -> int:
    number = await promise(name, int)
    return await ten(number)


@workflow(hold="0s")
async def cleaning() -> None:
    try:
        await sleep("1d")
    finally:
        await label(0)


async def pair(number: int) -> str:
    return await label(await ten(number))


@workflow
async def fanning(count: int) -> list[str]:
    async with TaskGroup() as group:
        tasks = [group.create_task(pair(number), name=str(number)) for number in range(count)]
    return [task.result() for task in tasks]


@workflow
async def hearing(count: int) -> list[float]:
    return [time.time() - await promise(f"at-{number}", float) for number in range(count)]


@workflow
async def blocking() -> int:
    time.sleep(1.6)  # noqa: ASYNC251 - the mistake that is to be named
    return await ten(1)


@workflow
async def agent(turn: int) -> int:
    await ten(turn)
    if turn < 3:
        await restart_as(turn + 1)
    return turn


@workflow
async def broken(number: int) -> int:
    return await ten(number) // 0
