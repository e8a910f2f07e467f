"""The way of a step to the wire: how many of the SDK's frames a traceback shows of it."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tests.sdk.fake_server import DEFAULTS, FakeServer, be_silent, reply
from tests.sdk.workflow.memory_store import Core, MemoryStore

import runtara_sdk
from runtara_sdk import Settings, step, workflow
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.process.core_store import connected

OURS = str(Path(runtara_sdk.__file__).parent)
MOST = 8
MOST_TO_A_STEP = 6


@step
async def charge() -> str:
    return "charged"


@step
async def look() -> list[str]:
    stack: list[str] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "looking":
        stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return stack


@workflow
async def looking() -> list[str]:
    return await look()


@workflow
async def buying() -> str:
    return await charge()


def frames(task: "asyncio.Task[Any]") -> Iterator[tuple[str, str]]:
    """Follow what a task awaits, from its outermost coroutine: the file and name of each."""
    awaited: Any = task.get_coro()
    while hasattr(awaited, "cr_frame"):
        yield awaited.cr_code.co_filename, awaited.cr_code.co_name
        awaited = awaited.cr_await


async def test_a_step_goes_to_the_wire_through_few_frames(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """Between the workflow's line and the connection stand at most eight functions of the SDK."""
    server.script("checkpoint", reply(DEFAULTS["checkpoint"]), be_silent)

    async with connected(settings()) as journal:
        running = asyncio.create_task(execute(buying, journal))
        await server.asked("checkpoint")
        await server.asked("checkpoint")
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "buying"]
        passed = list(frames(task))
        running.cancel()
        await asyncio.wait([running])

    assert passed[0] == (__file__, "buying")
    ours = [name for file, name in passed if file.startswith(OURS)]
    assert ours[-1] == "exchange"
    assert len(ours) <= MOST, ours


async def test_a_step_is_called_through_few_frames() -> None:
    """Between the workflow's line and the step's first stand at most six functions of the SDK."""
    ended = await execute(looking, MemoryStore(Core()))

    stack = json.loads(ended.output)
    assert stack[0] == f"{__file__}:look"
    ours = [one for one in stack if one.startswith(OURS)]
    assert len(ours) <= MOST_TO_A_STEP, ours
    assert len(stack) == len(ours) + 1
