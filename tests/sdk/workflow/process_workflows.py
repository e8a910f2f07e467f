"""Workflows that tests run as processes; what they do is in a file, a line each time."""

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

from runtara_sdk import (
    NotDone,
    Retry,
    TaskGroup,
    continue_as_new,
    current,
    map_steps,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)


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


@workflow(suspend_after="0s")
async def napping(seconds: float) -> str:
    await ten(1)
    await sleep(seconds)
    return await label(2)


@workflow
async def asking(name: str) -> int:
    number = await promise(name, int)
    return await ten(number)


@workflow(suspend_after="0s")
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


async def delay_of(name: str) -> float:
    """How long ago what has come now was sent; it says when."""
    sent = await promise(name, float)
    return time.time() - sent


@workflow
async def hearing(count: int) -> list[float]:
    return [await delay_of(f"at-{number}") for number in range(count)]


@workflow
async def hearing_at_once(count: int) -> list[float]:
    async with TaskGroup() as group:
        tasks = [group.create_task(delay_of("sent"), name=str(number)) for number in range(count)]
    return [task.result() for task in tasks]


@workflow
async def blocking() -> int:
    time.sleep(1.6)  # noqa: ASYNC251 - the mistake that is to be named
    return await ten(1)


@step
async def add(number: int, words: list[str]) -> int:
    return number + len(words)


@workflow
async def gathering_many(count: int) -> int:
    words = ["word"] * 3000
    return sum(await asyncio.gather(*(add(number, words) for number in range(count))))


@workflow
async def blocked_with_clean_up() -> None:
    try:
        note("blocked")
        time.sleep(60)  # noqa: ASYNC251 - the mistake that is to do no harm
    finally:
        note("finally")
        await ten(1)


@workflow
async def blocked_for(seconds: float) -> int:
    note("blocked")
    time.sleep(seconds)  # noqa: ASYNC251 - the mistake that is to do no harm
    note("free")
    return await ten(1)


@workflow(core_timeout="1s")
async def impatient(count: int) -> list[int]:
    return [await ten(number) for number in range(count)]


@workflow
async def agent(turn: int) -> int:
    await ten(turn)
    if turn < 3:
        await continue_as_new(turn + 1)
    return turn


@workflow
async def broken(number: int) -> int:
    return await ten(number) // 0


def done(key: str) -> bool:
    """Tell whether an effect is noted already."""
    return any(line.startswith(f"{key} ") for line in Path(os.environ["NOTES"]).open())


async def waiting() -> None:
    try:
        await sleep(20)
    finally:
        note("unwound")


async def ending() -> None:
    await sleep(0)
    sys.exit(3)


@workflow
async def printing_until_killed(text: str) -> None:
    """Prints a text, and is killed."""
    sys.stdout.write(f"{text}\n")
    os.kill(os.getpid(), signal.SIGKILL)


@workflow
async def printing(text: str) -> str:
    sys.stdout.write(f"{text}\n")
    return "the result"


@step
def fork() -> int | None:
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode


@workflow
async def forking() -> int | None:
    return await fork()


@workflow
async def interrupting() -> None:
    raise KeyboardInterrupt


@workflow
async def leaving() -> None:
    async with TaskGroup() as group:
        group.create_task(waiting(), name="waiting")
        group.create_task(ending(), name="ending")


@step(effect="external", retry=Retry(attempts=3, wait="10ms"))
async def book(what: str) -> str:
    await asyncio.sleep(random.random() / 50)
    note(f"{current().idempotency_key} booked {what}")
    await asyncio.sleep(random.random() / 50)
    return f"{what} booked"


@book.in_doubt
async def find_booking(what: str) -> str | NotDone:
    return f"{what} booked" if done(current().idempotency_key) else NotDone()


@step(effect="external")
async def undo(booked: str) -> str:
    await asyncio.sleep(random.random() / 50)
    note(f"{current().idempotency_key} undone {booked}")
    await asyncio.sleep(random.random() / 50)
    return booked


@undo.in_doubt
async def find_undone(booked: str) -> str | NotDone:
    return booked if done(current().idempotency_key) else NotDone()


@workflow(name="trip", suspend_after="100ms")
async def trip(towns: list[str]) -> list[str]:
    """A saga: what was booked is undone, the last first, when no approval comes in time."""
    booked = await map_steps(book, towns, key=str, limit=3)
    try:
        async with timeout("1s"):
            await promise("approval", bool)
    except TimeoutError:
        return [await undo(one) for one in reversed(booked)]
    return booked
