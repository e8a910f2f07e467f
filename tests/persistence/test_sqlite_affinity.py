"""The thread that writes runs on the CPU that the loop runs on, wherever that is."""

import asyncio
import ctypes
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtara_persistence.sqlite import step_thread
from runtara_persistence.sqlite.database import Database


@pytest.fixture(autouse=True)
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says of this process: that no calls are filtered, wherever the tests run."""
    status = tmp_path / "status"
    status.write_text("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n")
    monkeypatch.setattr(step_thread, "STATUS", status)
    return status


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(str(tmp_path / "x.db"), lock_timeout=1)
    async with database.opened():
        # From its first step on the thread is known.
        await database.write("look", allowed)
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


async def test_the_thread_follows_the_loop(database: Database, cpus: set[int]) -> None:
    for cpu in cpus:
        os.sched_setaffinity(0, {cpu})

        assert await database.write("look", allowed) == {cpu}


async def test_the_loop_and_what_reads_are_left_free(database: Database, cpus: set[int]) -> None:
    for _ in range(2):
        await database.write("look", allowed)
        assert await database.read("look", allowed) == cpus

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


@pytest.mark.parametrize(
    ("said", "is_followed"),
    [
        ("Name:\tx\n", True),
        # A filter may end the process for the call.
        ("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", False),
        (None, False),
    ],
)
async def test_a_filter_of_system_calls_is_not_tried(
    said: str | None, is_followed: bool, status: Path, tmp_path: Path, cpus: set[int]
) -> None:
    await asyncio.to_thread(status.write_text, said or "")
    if said is None:
        await asyncio.to_thread(status.unlink)
    database = Database(str(tmp_path / "x.db"), lock_timeout=1)
    async with database.opened():
        await database.write("look", allowed)
        os.sched_setaffinity(0, {max(cpus)})
        outcome = await database.write("look", allowed)

    assert outcome == ({max(cpus)} if is_followed else cpus)


async def test_a_cpu_that_is_not_known_is_not_asked_for(
    tmp_path: Path, cpus: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may be unable to tell."""
    system = SimpleNamespace(sched_getcpu=lambda: -1)
    monkeypatch.setattr(ctypes, "PyDLL", lambda _: system)
    database = Database(str(tmp_path / "x.db"), lock_timeout=1)
    async with database.opened():
        for _ in range(2):
            assert await database.write("look", allowed) == cpus


async def test_a_python_without_foreign_functions_does_without(
    tmp_path: Path, cpus: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    database = Database(str(tmp_path / "x.db"), lock_timeout=1)
    async with database.opened():
        for _ in range(2):
            assert await database.write("look", allowed) == cpus
