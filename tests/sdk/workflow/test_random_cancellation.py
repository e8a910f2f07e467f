"""Programs made at random of all that cancels and is cancelled, killed wherever they can be."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    NotDone,
    TaskGroup,
    current,
    map_steps,
    promise,
    race,
    sleep,
    step,
    timeout,
    workflow,
)

Part = Callable[[], Coroutine[Any, Any, list[str]]]

_program: ContextVar[Part] = ContextVar("program")


class Broken(Exception):
    """What programs raise."""


@step(effect="external")
async def note() -> str:
    probe.counts[current().idempotency_key] += 1
    return "noted"


@note.in_doubt
async def find_note() -> str | NotDone:
    return "noted" if probe.counts[current().idempotency_key] else NotDone()


@workflow(suspend_after="0s", recheck_every="900d")
async def flow() -> list[str]:
    try:
        return await _program.get()()
    except (Exception, ExceptionGroup) as error:
        return [type(error).__name__]


@step(raises=Broken)
async def fail() -> None:
    raise Broken


class Maker:
    """Makes a part of a program, that holds others down to a depth."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def seconds(self) -> int:
        """Any time: hardly two add up to the same."""
        return self._random.randrange(100, 7000)

    def part(self, depth: int) -> Part:
        """One of any kind; of those that hold none at the end of the depth."""
        leaves = (self.sleeping, self.noting, self.promised, self.gathered, self.left)
        if depth == 0:
            return self._random.choice(leaves)()
        cancelling = (self.limited, self.grouped, self.mapped, self.raced)
        holding = (*cancelling, self.cleaned, self.in_turn)
        kind = self._random.choice((None, *holding, *holding))
        return self.part(0) if kind is None else kind(depth - 1)

    def sleeping(self) -> Part:
        length = self.seconds()

        async def part() -> list[str]:
            await sleep(length)
            return ["slept"]

        return part

    def noting(self) -> Part:
        async def part() -> list[str]:
            return [await note()]

        return part

    def promised(self) -> Part:
        async def part() -> list[str]:
            async with timeout(12000):
                return [await promise("never", str)]

        return part

    def gathered(self) -> Part:
        lengths, is_hidden = (self.seconds(), self.seconds()), self._random.random() < 0.5

        async def part() -> list[str]:
            await asyncio.gather(*map(sleep, lengths), return_exceptions=is_hidden)
            return ["gathered"]

        return part

    def left(self) -> Part:
        length = self.seconds()

        async def part() -> list[str]:
            try:
                await asyncio.gather(sleep(length), note(), fail())
            except Broken:
                return ["failed"]
            return ["gathered"]

        return part

    def mapped(self, depth: int) -> Part:
        inner, failing = self.part(depth), self._random.randrange(2)

        async def one(number: int) -> None:
            if number == failing:
                await fail()
            await inner()

        async def part() -> list[str]:
            said = ["mapped"]
            try:
                await map_steps(one, range(5), key=str, limit=2)
            except* (Broken, TimeoutError):
                said = ["failed"]
            return said

        return part

    def limited(self, depth: int) -> Part:
        limit, inner = self.seconds(), self.part(depth)

        async def part() -> list[str]:
            try:
                async with timeout(limit):
                    return await inner()
            except TimeoutError:
                return ["late", await note()]

        return part

    def grouped(self, depth: int) -> Part:
        body, branches = self.part(depth), [self.part(depth) for _ in range(2)]
        fails = self._random.random() < 0.5

        async def last() -> list[str]:
            said = await branches[-1]()
            if fails:
                raise Broken
            return said

        async def part() -> list[str]:
            try:
                async with TaskGroup() as group:
                    tasks = [group.create_task(one(), name="b") for one in (*branches[:-1], last)]
                    said = await body()
            except* (Broken, TimeoutError):
                said, tasks = ["failed"], []
            return [*said, *(one for task in tasks for one in task.result()), await note()]

        return part

    def cleaned(self, depth: int) -> Part:
        inner, clean_up = self.part(depth), self.part(0)

        async def part() -> list[str]:
            try:
                return await inner()
            finally:
                await clean_up()

        return part

    def raced(self, depth: int) -> Part:
        one, other = self.later(depth), self.later(depth)

        async def part() -> list[str]:
            first, said = await race(one=one(), other=other())
            return [first, *said]

        return part

    def later(self, depth: int) -> Part:
        """What takes no time could win or lose with each crash."""
        length, inner = self.seconds(), self.part(depth)

        async def part() -> list[str]:
            await sleep(length)
            return await inner()

        return part

    def in_turn(self, depth: int) -> Part:
        parts = [self.part(depth) for _ in range(2)]

        async def part() -> list[str]:
            return [said for one in parts for said in await one()]

        return part


@pytest.mark.long
@pytest.mark.parametrize("seed", [*range(40), 201, 514])
async def test_a_program_killed_anywhere_ends_alike(seed: int) -> None:
    """Each effect happens once, and a later replay of the whole program ends alike."""
    _program.set(Maker(seed).part(4))
    probe.counts.clear()
    core = Core()
    whole = await lives(flow, core)
    calls, core.ended, core.now = len(core.calls), None, core.now + timedelta(days=9)
    assert await life(flow, core) == whole

    points = [*itertools.product(range(calls), (False, True))]
    for number, is_done in random.Random(seed).sample(points, min(len(points), 20)):
        assert set(probe.counts.values()) <= {1}
        probe.counts.clear()
        left = itertools.count()

        def dies(_: str, after: bool) -> bool:
            return after == is_done and next(left) == number  # noqa: B023 - asked in this iteration

        assert await lives(flow, Core(), dies=dies) == whole, (number, is_done)
