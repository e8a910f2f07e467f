"""Callers who wait at the same time share a transaction, and nothing else."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from runtara_domain.error import DatabaseError
from runtara_persistence.sqlite.gathering import MAX_GROUP, Gathering
from runtara_persistence.sqlite.group_commit import (
    Outcome,
    Shared,
    Step,
    commit_together,
    read_each,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
async def connection(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, isolation_level=None, timeout=0.05) as connection:
        await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        await connection.execute("CREATE TABLE kept (value INTEGER PRIMARY KEY)")
        yield connection


@pytest.fixture
async def writes(connection: aiosqlite.Connection) -> AsyncIterator[Gathering]:
    gathering = Gathering(commit_together)
    gathering.opened(connection)
    yield gathering
    await gathering.close()


def keep(value: int) -> Step[int]:
    """A step that is refused the second time."""

    def step(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO kept VALUES (?)", (value,))
        return value

    return step


def kept(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM kept")]


class Gate:
    """A step that stands in the connection's thread until it is let through."""

    def __init__(self, value: int) -> None:
        self._keep = keep(value)
        self._begun, self._open = threading.Event(), threading.Event()

    def step(self, connection: sqlite3.Connection) -> int:
        self._begun.set()
        self._open.wait()
        return self._keep(connection)

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait)

    def let_through(self) -> None:
        self._open.set()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_step_gives_back_what_it_returns(writes: Gathering, path: Path) -> None:
    assert await writes.run(keep(7)) == 7
    assert kept(path) == [7]


async def test_a_failing_step_fails_alone(writes: Gathering, path: Path) -> None:
    """Whatever the others of its group did is committed; of its own writes nothing is."""

    def fail(connection: sqlite3.Connection) -> None:
        keep(100)(connection)
        raise LookupError("a bug")

    one, bug, two, taken, three = await asyncio.gather(
        *(writes.run(step) for step in [keep(1), fail, keep(2), keep(1), keep(3)]),
        return_exceptions=True,
    )

    assert (one, two, three) == (1, 2, 3)
    assert isinstance(bug, LookupError)
    assert isinstance(taken, sqlite3.IntegrityError)
    assert kept(path) == [1, 2, 3]


class Kind:
    """Steps that are carried out together, and are refused with a number below zero."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def of(self, value: int) -> Shared[int, str]:
        return Shared(self._keep_all, value)

    def _keep_all(self, connection: sqlite3.Connection, values: Sequence[int]) -> list[str]:
        self.calls.append(list(values))
        connection.executemany("INSERT INTO kept VALUES (?)", [(value,) for value in values])
        if min(values) < 0:
            raise LookupError("a bug")
        return [f"kept {value}" for value in values]


async def test_those_of_a_kind_side_by_side_are_carried_out_by_one_call(
    writes: Gathering, path: Path
) -> None:
    """In their order, and that of the steps between them."""
    kind, other = Kind(), Kind()
    steps: list[Step[object]] = [kind.of(5), kind.of(4), keep(3), kind.of(2), other.of(1)]

    outcomes = await asyncio.gather(*(writes.run(step) for step in steps))

    assert outcomes == ["kept 5", "kept 4", 3, "kept 2", "kept 1"]
    assert (kind.calls, other.calls) == ([[5, 4], [2]], [[1]])
    assert kept(path) == [1, 2, 3, 4, 5]


async def test_one_of_a_kind_that_fails_fails_alone(writes: Gathering, path: Path) -> None:
    kind = Kind()

    one, bug, two = await asyncio.gather(
        *(writes.run(kind.of(value)) for value in (1, -1, 2)), return_exceptions=True
    )

    assert (one, two) == ("kept 1", "kept 2")
    assert isinstance(bug, LookupError)
    assert kept(path) == [1, 2]


async def test_a_step_may_raise_anything(writes: Gathering, path: Path) -> None:
    """Even what a future doesn't take as an exception."""
    _, one = await asyncio.gather(
        writes.run(lambda raw: next(iter(()))), writes.run(keep(1)), return_exceptions=True
    )

    assert one == 1


async def test_a_lone_failing_step_leaves_nothing(writes: Gathering, path: Path) -> None:
    await writes.run(keep(1))

    with pytest.raises(sqlite3.IntegrityError):
        await writes.run(keep(1))

    assert await writes.run(keep(2)) == 2


async def test_a_lock_held_by_another_fails_the_group_at_once(
    writes: Gathering, path: Path
) -> None:
    """They wait for it together, not one after the other."""
    with locked(path):
        failures = await asyncio.gather(
            *(writes.run(keep(value)) for value in range(8)), return_exceptions=True
        )

    assert isinstance(failures[0], sqlite3.OperationalError)
    assert all(failure is failures[0] for failure in failures)
    assert await writes.run(keep(1)) == 1


async def test_a_lock_taken_while_a_group_is_taken_apart_fails_the_rest(
    writes: Gathering, path: Path
) -> None:
    lock = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    runs = 0

    def fail_then_lock(connection: sqlite3.Connection) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            connection.execute("ROLLBACK")
            lock.execute("BEGIN IMMEDIATE")
        raise LookupError("a bug")

    with closing(lock):
        bug, *rest = await asyncio.gather(
            *(writes.run(step) for step in [fail_then_lock, keep(1), keep(2)]),
            return_exceptions=True,
        )

    assert isinstance(bug, LookupError)
    assert [type(failure) for failure in rest] == [sqlite3.OperationalError] * 2
    assert kept(path) == []


async def test_a_group_is_bounded(connection: aiosqlite.Connection) -> None:
    sizes: list[int] = []

    def carry_out(raw: sqlite3.Connection, steps: Sequence[Step[Any]]) -> list[Outcome]:
        sizes.append(len(steps))
        return commit_together(raw, steps)

    gathering = Gathering(carry_out)
    gathering.opened(connection)

    values = await asyncio.gather(*(gathering.run(keep(n)) for n in range(MAX_GROUP + 1)))

    assert values == list(range(MAX_GROUP + 1))
    assert sizes == [MAX_GROUP, 1]
    await gathering.close()


async def test_who_comes_while_answers_go_out_joins_the_next_group(
    connection: aiosqlite.Connection,
) -> None:
    sizes: list[int] = []

    def carry_out(raw: sqlite3.Connection, steps: Sequence[Step[Any]]) -> list[Outcome]:
        sizes.append(len(steps))
        return commit_together(raw, steps)

    async def one_after_the_other() -> None:
        await gathering.run(gate.step)
        await asyncio.sleep(0)
        await gathering.run(keep(2))

    gathering, gate = Gathering(carry_out), Gate(1)
    gathering.opened(connection)
    first = asyncio.create_task(one_after_the_other())
    await gate.begun()
    waiting = asyncio.create_task(gathering.run(keep(3)))
    await asyncio.sleep(0)
    gate.let_through()
    await asyncio.gather(first, waiting)

    assert sizes == [1, 2]
    await gathering.close()


async def test_a_step_that_has_not_begun_is_dropped_with_its_caller(
    writes: Gathering, path: Path
) -> None:
    gate = Gate(1)
    first = asyncio.create_task(writes.run(gate.step))
    await gate.begun()
    second = asyncio.create_task(writes.run(keep(2)))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.let_through()

    assert await first == 1
    assert await writes.run(keep(3)) == 3
    assert kept(path) == [1, 3]


async def test_a_step_that_has_begun_is_carried_out_without_its_caller(
    writes: Gathering, path: Path
) -> None:
    gate = Gate(1)
    caller = asyncio.create_task(writes.run(gate.step))
    await gate.begun()

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.let_through()

    assert await writes.run(keep(2)) == 2
    assert kept(path) == [1, 2]


async def test_closing_finishes_what_was_taken_and_takes_no_more(
    connection: aiosqlite.Connection, path: Path
) -> None:
    gathering = Gathering(commit_together)
    gathering.opened(connection)
    gate = Gate(1)
    under_way = asyncio.create_task(gathering.run(gate.step))
    await gate.begun()
    waiting = asyncio.create_task(gathering.run(keep(2)))
    await asyncio.sleep(0)

    closing_it = asyncio.create_task(gathering.close())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseError, match="not open"):
        await gathering.run(keep(3))
    gate.let_through()
    await closing_it

    assert (under_way.done(), waiting.done()) == (True, True)
    assert [await under_way, await waiting] == [1, 2]
    assert kept(path) == [1, 2]


async def test_a_connection_closed_underneath_fails_the_step(path: Path) -> None:
    gathering = Gathering(read_each)
    async with aiosqlite.connect(path) as connection:
        gathering.opened(connection)

    with pytest.raises(ValueError, match="no active connection"):
        await gathering.run(lambda raw: None)


def test_the_end_of_the_loop_leaves_no_caller_waiting(path: Path) -> None:
    """What asyncio.run cancels at its end, ends; what had begun is carried out all the same."""
    gate = Gate(1)
    before = set(threading.enumerate())

    async def leave() -> tuple[aiosqlite.Connection, list[asyncio.Task[int]]]:
        connection = await aiosqlite.connect(path, isolation_level=None)
        await connection.execute("CREATE TABLE kept (value INTEGER PRIMARY KEY)")
        gathering = Gathering(commit_together)
        gathering.opened(connection)
        callers = [asyncio.create_task(gathering.run(gate.step))]
        await gate.begun()
        callers.append(asyncio.create_task(gathering.run(keep(2))))
        return connection, callers

    connection, callers = asyncio.run(leave())
    gate.let_through()
    connection.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join()

    assert [caller.cancelled() for caller in callers] == [True, True]
    assert kept(path) == [1]


async def test_a_failing_read_fails_alone(connection: aiosqlite.Connection) -> None:
    gathering = Gathering(read_each)
    gathering.opened(connection)

    def fail(connection: sqlite3.Connection) -> None:
        raise LookupError("a bug")

    one, bug = await asyncio.gather(
        gathering.run(lambda raw: 1), gathering.run(fail), return_exceptions=True
    )

    assert one == 1
    assert isinstance(bug, LookupError)
    await gathering.close()


async def test_aiosqlite_still_runs_a_function_in_its_thread(
    connection: aiosqlite.Connection,
) -> None:
    """What `gathering` uses of aiosqlite is private: this fails should it change."""
    gathering = Gathering(read_each)
    gathering.opened(connection)

    threads = [await gathering.run(lambda raw: threading.get_ident()) for _ in range(2)]
    kind = await gathering.run(type)

    assert kind is sqlite3.Connection
    assert threads[0] == threads[1] != threading.get_ident()
    await gathering.close()
