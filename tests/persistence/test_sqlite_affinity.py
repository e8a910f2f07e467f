"""The connections' threads run on the CPU that the loop runs on, wherever that is."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runtara_persistence.sqlite.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(str(tmp_path / "x.db"), lock_timeout=1)
    async with database.opened():
        # From its first step on a thread is known.
        assert await database.write("look", allowed) == await database.read("look", allowed)
        yield database


@pytest.fixture
def cpus() -> Iterator[set[int]]:
    """Those the tests may use; the loop's thread is set free again."""
    cpus = os.sched_getaffinity(0)
    yield cpus
    os.sched_setaffinity(0, cpus)


def allowed(connection: sqlite3.Connection) -> set[int]:
    """A step that tells where its thread may run."""
    return os.sched_getaffinity(0)


async def test_the_threads_follow_the_loop(database: Database, cpus: set[int]) -> None:
    for cpu in cpus:
        os.sched_setaffinity(0, {cpu})

        assert await database.write("look", allowed) == {cpu}
        assert await database.read("look", allowed) == {cpu}


async def test_the_loop_is_left_free(database: Database, cpus: set[int]) -> None:
    await database.write("look", allowed)

    assert os.sched_getaffinity(0) == cpus


async def test_a_system_that_refuses_is_done_without(
    database: Database, cpus: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[int]] = []

    def refuse(thread: int, wanted: set[int]) -> None:
        asked.append(wanted)
        raise PermissionError(1, "Operation not permitted")

    os.sched_setaffinity(0, {max(cpus)})
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    try:
        outcomes = [await database.write("look", allowed) for _ in range(2)]
    finally:
        monkeypatch.undo()

    assert outcomes == [cpus, cpus]
    # Not again for every group.
    assert asked == [{max(cpus)}]
