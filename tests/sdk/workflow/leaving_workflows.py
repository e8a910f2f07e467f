"""Workflows with what processes leave behind: handlers, files, threads, and processes of theirs."""

import asyncio
import atexit
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from runtara_sdk import promise, sleep, step, workflow


def note(line: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{line}\n")


class Exporter:
    """Sends what it is given in batches, from a thread of its own, as tracing libraries do."""

    def __init__(self) -> None:
        self._batch: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._export, daemon=True)
        self._thread.start()
        atexit.register(self.shutdown)

    def add(self, span: str) -> None:
        self._batch.put(span)

    def shutdown(self) -> None:
        self._batch.put(None)
        self._thread.join()

    def _export(self) -> None:
        batch = list(iter(self._batch.get, None))
        note(f"spans {batch}")


class HalfDone:
    """Notes that a frame which holds it was unwound."""

    def __del__(self) -> None:
        note("unwound")


def hang() -> None:
    note("hangs")
    time.sleep(60)


def fail() -> NoReturn:
    note("fails")
    raise LookupError("a handler has failed")


def leave() -> NoReturn:
    note("leaves")
    sys.exit(7)


def run_a_loop() -> None:
    asyncio.run(asyncio.sleep(0))
    note("ran a loop")


def reuse_a_loop() -> None:
    try:
        asyncio.get_event_loop_policy().get_event_loop().run_until_complete(asyncio.sleep(0.3))
    except RuntimeError:
        note("no loop")


def say() -> None:
    sys.stdout.write("said by a handler\n")


HANDLERS: dict[str, Callable[[], object]] = {
    "hang": hang,
    "fail": fail,
    "leave": leave,
    "run_a_loop": run_a_loop,
    "reuse_a_loop": reuse_a_loop,
    "say": say,
}

exporter = Exporter()
atexit.register(note, "at exit")
for name in filter(None, os.environ.get("HANDLERS", "").split(",")):
    atexit.register(HANDLERS[name])


def report_late() -> None:
    time.sleep(0.5)
    note("thread")


async def tick() -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        note("ticker")


async def tick_durably(call: asyncio.Future[None]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await call


@workflow(suspend_after="0s")
async def tidy(ending: str) -> str:
    half_done = HalfDone()
    exporter.add("one")
    buffered = Path(os.environ["NOTES"]).with_name("buffered").open("w")
    buffered.write("in the buffer")
    threading.Thread(target=report_late).start()
    ticker = asyncio.create_task(tick())
    await sleep(0)
    try:
        if ending == "failed":
            raise ValueError(buffered.name)
        if ending == "suspended":
            await promise("never", int)
        if ending == "refused":
            await asyncio.gather(refused(), promise("never", int))
        if ending == "superseded":
            note("waits")
            await slow()
    finally:
        if not isinstance(sys.exception(), GeneratorExit):
            note(f"over {half_done is None} {ticker.done()}")
    return buffered.name


@step
async def slow() -> None:
    await asyncio.sleep(60)


@step
async def refused() -> object:
    return 1, 2


@workflow
async def untidy() -> None:
    """A task of asyncio's cleans up durably when the workflow has ended."""
    asyncio.create_task(tick_durably(asyncio.ensure_future(sleep("1d"))))  # noqa: RUF006
    await asyncio.sleep(0.1)


@step
def fork(how: str) -> int:
    return _forked(how)


@step
async def fork_async(how: str) -> int:
    if how == "await":
        child = os.fork()
        if child == 0:
            await asyncio.get_running_loop().create_future()
        return _waited(child)
    return _forked(how)


@workflow
async def forking(hows: list[str]) -> list[int]:
    return [await call(how) for how in hows for call in (fork, fork_async)]


@workflow
async def forking_between(hows: list[str]) -> list[int]:
    return [_forked(how) for how in hows]


def _forked(how: str) -> int:
    child = os.fork()
    if child == 0:
        match how:
            case "exit":
                sys.exit(7)
            case "text":
                sys.exit("seven")
            case "raise":
                raise ValueError("the child's own")
            case "_exit":
                os._exit(9)
            case _:
                return 0
    return _waited(child)


def _waited(child: int) -> int:
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -99


@step
def work_aloud() -> int:
    for _ in range(100):
        print("x" * 1000)  # noqa: T201
        sys.stderr.write("y" * 1000)
        logging.getLogger("loud").warning("z" * 1000)
    sys.stdout.flush()
    return 17


@workflow
async def aloud() -> int:
    print("x" * 100_000, flush=True)  # noqa: T201
    return await work_aloud()


@workflow
async def opening() -> str:
    """Opens a file, which gets the lowest number that is free, and writes to the outputs."""
    path = Path(os.environ["NOTES"]).with_name("opened")
    with path.open("w") as opened:
        for number in (1, 2):
            os.write(number, b"something else")
        opened.write(f"{await work_aloud()}")
    return path.read_text()
