"""A cancel of the instance and one by user code that hit the same call, while one is saved."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life

from runtara_sdk import Outcome, Promise, SignalType, promise, sleep, step, workflow
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.engine.store import Saved, State


class Slow(MemoryStore):
    """Lets the code's timeout come while the first cancellation is being saved."""

    limit: asyncio.Timeout | None = None

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        if self.limit is not None and b'"value": "cancel"' in state:
            self.limit.reschedule(0)
            self.limit = None
            await asyncio.sleep(0.05)
        return await super().save(key, state, preceding)


@step
async def after() -> str:
    return "x"


@step
async def last() -> str:
    return "y"


async def wait_for_promise() -> None:
    await promise("never", str)


async def get() -> None:
    await Promise("never", str).get(timeout="1d")


async def doze() -> None:
    await sleep("5s")


async def doze_in_a_task() -> None:
    await asyncio.gather(sleep("5s"))


@pytest.mark.parametrize("wait", [wait_for_promise, get, doze, doze_in_a_task])
async def test_a_replay_goes_the_same_way(wait: Callable[[], Awaitable[None]]) -> None:
    """The timeout ends the call, and the cancel ends the next."""
    ways: list[list[str]] = []

    @workflow
    async def flow() -> None:
        way: list[str] = []
        ways.append(way)
        try:
            # A replay has no cancellation to save, and its timeout comes by itself.
            async with asyncio.timeout(None if len(ways) == 1 else 0.01) as store.limit:
                await wait()
        except TimeoutError:
            way.append("timeout")
        try:
            await after()
        except asyncio.CancelledError:
            way.append("cancelled")
            await last()
            raise

    core = Core()
    store = Slow(core)
    running = asyncio.create_task(execute(flow, store, clock=core.clock))
    await core.until(lambda: core.listeners > 0)
    await core.tell(SignalType.CANCEL)
    ended: list[Any] = [await running]
    assert [b'"cancel"' in state for state in core.states.values()].count(True) == 2
    core.ended, core.told = None, SignalType.CANCEL
    ended.append(await life(flow, core))

    assert [one.outcome for one in ended] == [Outcome.CANCELLED] * 2
    assert ways == [["timeout", "cancelled"]] * 2
