"""When the pool opens another connection, and what a new connection asks of the server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.postgres import connection, line
from runtara_persistence.postgres.line import Line
from runtara_persistence.postgres.persistence import PostgresPersistence

LONG = 600.0
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'runtara' AND datname = current_database()
"""


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step waits for long enough to have another connection opened, unless a test says so."""
    monkeypatch.setattr(line, "_FEW", 2)
    monkeypatch.setattr(line, "_OPENING", LONG)


class Steps:
    """Steps in a line, each of which ends when it is told to."""

    def __init__(self, size: int) -> None:
        self.line = Line(lambda: size)
        self.begun: list[str] = []
        self._over: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, *names: str, seconds: float = LONG) -> None:
        for name in names:
            self._over[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._step(name, seconds))
            await asyncio.sleep(0)

    async def let_end(self, name: str) -> None:
        self._over[name].set()
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        await self.let_end(name)
        await self._tasks[name]
        await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])

    async def until_begun(self, name: str) -> None:
        async with asyncio.timeout(30):
            while name not in self.begun:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _step(self, name: str, seconds: float) -> None:
        async with self.line.turn(seconds):
            self.begun.append(name)
            await self._over[name].wait()


async def test_a_step_takes_the_connection_of_another_that_has_ended() -> None:
    steps = Steps(size=3)
    await steps.add("a", "b", "c", "d", "e")
    assert steps.begun == ["a", "b", "c"]

    await steps.end("b")
    assert steps.begun == ["a", "b", "c", "d"]
    await steps.end("a")
    assert steps.begun[-1] == "e"


async def test_a_step_that_has_waited_long_begins_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that, it counts as the others do."""
    monkeypatch.setattr(line, "_OPENING", 0.001)
    steps = Steps(size=0)
    await steps.add("a", "b", "c")
    await steps.until_begun("c")

    monkeypatch.setattr(line, "_OPENING", LONG)
    await steps.add("d")
    await steps.end("a")
    assert "d" not in steps.begun
    await steps.end("b")
    assert "d" in steps.begun


async def test_a_step_waits_no_longer_than_it_may() -> None:
    steps = Steps(size=2)
    await steps.add("a", "b")
    await steps.add("hasty", seconds=0.001)
    await steps.until_begun("hasty")


async def test_a_cancelled_step_leaves_the_line() -> None:
    """Also one whose turn had just come: the next step gets it."""
    steps = Steps(size=2)
    await steps.add("a", "b", "c", "d", "e")
    await steps.cancel("c")
    await steps.end("a")
    assert steps.begun == ["a", "b", "d"]

    await steps.add("f")
    await steps.let_end("b")
    # The cancelled step has not run since its turn came.
    await steps.cancel("e")
    await steps.until_begun("f")


async def test_many_quick_steps_need_few_connections(url: str) -> None:
    async with PostgresPersistence(url, pool_size=10) as persistence:
        await asyncio.gather(*(persistence.instances.run_state("i") for _ in range(50)))
        stranger = await asyncpg.connect(url)
        assert await stranger.fetchval(CONNECTIONS) == 2
        await stranger.close()


async def test_no_caller_starves_while_others_use_the_only_connection(url: str) -> None:
    async with PostgresPersistence(url, pool_size=1) as persistence:
        done = [0, 0, 0]

        async def caller(number: int) -> None:
            while min(done) < 10:
                await persistence.instances.run_state("i")
                done[number] += 1

        await asyncio.gather(*map(caller, range(3)))


async def test_what_is_known_of_arrays_is_what_the_server_says(url: str) -> None:
    stranger = await asyncpg.connect(url)
    try:
        ask = stranger._introspect_types  # type: ignore[attr-defined]
        said, _ = await ask(list(connection._ARRAYS), 10)
    finally:
        await stranger.close()

    arrays = {row["oid"]: dict(row) for row in said if row["elemtype"]}
    for type_id in connection._ARRAYS:
        known = connection._array(type_id)
        assert {name: arrays[type_id][name] for name in known} == known


async def test_no_connection_asks_the_server_for_types(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ours, drivers = connection._Connection._introspect_types, asyncpg.Connection._introspect_types  # type: ignore[attr-defined]

    async def of_ours(self: Any, *given: Any) -> object:
        asked.append("ours")
        return await ours(self, *given)

    async def of_the_driver(self: Any, *given: Any) -> object:
        asked.append("driver's")
        return await drivers(self, *given)

    monkeypatch.setattr(connection._Connection, "_introspect_types", of_ours)
    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", of_the_driver)
    async with PostgresPersistence(url) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        # A group of one save passes no arrays but of texts.
        await asyncio.gather(
            *(
                persistence.checkpoints.save(
                    Caller("i"), CheckpointWrite(f"step{n}", b""), when=WORKING, at=START
                )
                for n in range(2)
            )
        )
    assert set(asked) == {"ours"}
