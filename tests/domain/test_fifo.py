"""A turn under a key begins when all earlier ones are over."""

import asyncio
from collections.abc import Collection
from contextlib import suppress

import pytest

from runtara_domain.fifo import Fifo


class Late(Exception):
    pass


class Line:
    """Takes turns in tasks, and writes down in which order they came."""

    def __init__(self) -> None:
        self.patience = asyncio.Event()
        self.came: list[str] = []
        self.fifo = Fifo(self._give_up, lambda keys: Late(*sorted(keys)))
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, keys: Collection[str]) -> None:
        """Ask for a turn, and let it come if it does at once."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._take(name, keys))
        await settle()

    async def end(self, name: str) -> None:
        """End a turn, and let those behind it come."""
        self._ends[name].set()
        await self._tasks[name]
        await settle()

    async def cancel(self, name: str) -> None:
        """Cancel a caller that waits for a turn."""
        self._tasks[name].cancel()
        with suppress(asyncio.CancelledError):
            await self._tasks[name]
        await settle()

    async def _take(self, name: str, keys: Collection[str]) -> None:
        async with self.fifo.turn(keys):
            self.came.append(name)
            await self._ends[name].wait()

    async def _give_up(self) -> None:
        await self.patience.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_turns_for_a_key_come_one_after_another() -> None:
    """A turn comes when the one before it is over, and a turn for another key at once."""
    line = Line()

    await line.ask("first", ["a"])
    await line.ask("second", ["a"])
    await line.ask("other", ["b"])

    assert line.came == ["first", "other"]
    await line.end("first")
    assert line.came == ["first", "other", "second"]
    await line.end("second")
    await line.end("other")


async def test_a_turn_for_several_keys_waits_for_each_and_holds_up_each() -> None:
    """A turn for several keys stands in the line of every one of them."""
    line = Line()
    await line.ask("a", ["a"])
    await line.ask("b", ["b"])
    await line.ask("both", ["a", "b"])
    await line.ask("behind", ["b"])

    await line.end("b")
    assert "both" not in line.came
    await line.end("a")

    assert line.came == ["a", "b", "both"]
    await line.end("both")
    assert line.came == ["a", "b", "both", "behind"]
    await line.end("behind")


async def test_a_cancelled_turn_still_stands_between_its_neighbours() -> None:
    """A turn behind one that was given up does not overtake the turn before that."""
    line = Line()
    await line.ask("first", ["a"])
    await line.ask("cancelled", ["a"])
    await line.ask("last", ["a"])

    await line.cancel("cancelled")

    assert line.came == ["first"]
    await line.end("first")
    assert line.came == ["first", "last"]
    await line.end("last")
    assert not line.fifo.is_busy("a")


async def test_a_turn_that_does_not_come_in_time_fails_with_its_keys() -> None:
    """A caller whose wait takes too long gets the error that is made of its keys."""
    line = Line()
    await line.ask("first", ["a"])
    line.patience.set()

    with pytest.raises(Late, match="a"):
        async with line.fifo.turn(["a"]):
            raise AssertionError("it is not its turn")

    await line.end("first")
    assert not line.fifo.is_busy("a")
