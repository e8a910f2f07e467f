"""Branches get the same keys and results in whatever order their steps end, before and after."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore
from tests.sdk.workflow.outcomes_got import all_got, new_record, received

from runtara_sdk.workflow import TaskGroup, Workflow, current, execute, map_steps, step, workflow

pytestmark = pytest.mark.slow

STEPS = 2
ORDERS = sorted(set(itertools.permutations("AB" * STEPS)))


class Gates:
    """Lets steps end one after the other, in a given order of their branches."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = list(order)
        self._open = {name: asyncio.Semaphore(0) for name in "AB"}
        self.ended = 0
        self.moved = asyncio.Event()

    async def through(self, name: str) -> None:
        await self._open[name].acquire()
        self.ended += 1

    def let(self, count: int) -> None:
        """Open the first gates of the order."""
        for name in self._order[:count]:
            self._open[name].release()


_gates: ContextVar[Gates] = ContextVar("gates")
"""Those of the run under way: the tasks of a dead run have others."""


@contextmanager
def gated(order: tuple[str, ...], count: int) -> Iterator[None]:
    gates = Gates(order)
    token = _gates.set(gates)
    gates.let(count)
    yield
    _gates.reset(token)


@step
async def work(name: str, number: int) -> str:
    await _gates.get().through(name)
    return f"{name}{number} {current().key}"


async def several(name: str) -> list[str]:
    return [await work(name, number) for number in range(STEPS)]


@workflow
async def grouped() -> list[list[str]]:
    async with TaskGroup() as group:
        tasks = [group.create_task(several(name), name=name) for name in "AB"]
    return [task.result() for task in tasks]


@workflow
async def mapped() -> list[list[str]]:
    return await map_steps(several, ["A", "B"], key=str)


@workflow
async def gathered() -> list[list[str]]:
    pairs = [await asyncio.gather(work("A", n), work("B", n)) for n in range(STEPS)]
    return [list(pair) for pair in pairs]


async def several_keyed(name: str) -> None:
    for number in range(STEPS):
        received(await work.keyed(f"{name}{number}")(name, number))


@workflow
async def in_foreign_tasks() -> str:
    await asyncio.gather(several_keyed("A"), several_keyed("B"))
    return all_got()


async def killed_after(flow: Workflow[[], Any], core: Core, count: int) -> None:
    """Run until so many steps are saved, and no further."""
    saved = itertools.count(1)
    enough = asyncio.Event()

    def dies(call: str, is_done: bool) -> bool:
        if "/work" in f"/{call.split()[-1]}" and is_done and next(saved) == count:
            enough.set()
        return enough.is_set()

    journal = MemoryStore(core, dies)
    running = asyncio.create_task(execute(flow, journal, clock=core.clock))
    await journal.dead.wait()
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.parametrize("flow", [grouped, mapped, gathered], ids=lambda flow: flow.name)
async def test_every_order_before_a_crash_and_every_order_after_it(
    flow: Workflow[[], object],
) -> None:
    """All give the same output and the same checkpoints as no crash at all."""
    seen = set()
    for live, count, again in itertools.product(ORDERS, range(1, 2 * STEPS + 1), ORDERS):
        core = Core()
        if flow is gathered and not _fits(live, count):
            continue
        with gated(live, count):
            await killed_after(flow, core, count)
        with gated(again, 2 * STEPS):
            ended = await execute(flow, MemoryStore(core), clock=core.clock)
        seen.add((ended, tuple(sorted(_unnumbered(core)))))

    assert len(seen) == 1, seen


async def test_foreign_tasks_get_what_they_got_before_a_crash() -> None:
    """Two tasks of two calls go on so after every order before a crash and every order after it."""
    for live, count, again in itertools.product(ORDERS, range(1, 2 * STEPS + 1), ORDERS):
        core = Core()
        before = new_record()
        with gated(live, count):
            await killed_after(in_foreign_tasks, core, count)
        after = new_record()
        with gated(again, 2 * STEPS):
            ended = await execute(in_foreign_tasks, MemoryStore(core), clock=core.clock)
        core.ended = None
        replayed = new_record()
        with gated(tuple(reversed(again)), 2 * STEPS):
            once_more = await execute(in_foreign_tasks, MemoryStore(core), clock=core.clock)

        assert after[: len(before)] == before, (live, count, again)
        assert len(before) >= count - 1
        assert (once_more, replayed) == (ended, after)


def _unnumbered(core: Core) -> Iterator[tuple[str, str]]:
    """What is saved, without the order in which the code got it: that is the order of ends."""
    for key, state in core.states.items():
        said = {name: value for name, value in json.loads(state).items() if name != "nth"}
        yield key, json.dumps(said)


def _fits(order: tuple[str, ...], count: int) -> bool:
    """Tell whether steps that go in pairs can end in this order."""
    return all(set(order[n : n + 2]) == {"A", "B"} for n in range(0, count - 1, 2))
