"""Concurrent callers share a transaction, and nothing else."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtara_domain.error import DatabaseError
from runtara_persistence.sqlite import step_thread
from runtara_persistence.sqlite.group_commit import (
    Outcome,
    Shared,
    Step,
    commit_together,
    read_each,
)
from runtara_persistence.sqlite.step_thread import ALTERNATE, CALM, MAX_GROUP, StepThread, Thread


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.05, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE kept (value INTEGER PRIMARY KEY)")
    return connection


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connected(path)) as connection:
        yield connection


@pytest.fixture
def thread() -> Iterator[Thread]:
    with Thread("steps") as thread:
        yield thread


@pytest.fixture
async def writes(connection: sqlite3.Connection, thread: Thread) -> AsyncIterator[StepThread]:
    steps = StepThread(commit_together)
    steps.opened(connection, thread)
    yield steps
    await steps.close()


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


async def test_a_step_gives_back_what_it_returns(writes: StepThread, path: Path) -> None:
    assert await writes.run(keep(7)) == 7
    assert kept(path) == [7]


async def test_a_failing_step_fails_alone(writes: StepThread, path: Path) -> None:
    """The writes of the others of its group are committed, and none of its own."""

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
    writes: StepThread, path: Path
) -> None:
    """Their order is kept, and that of the steps between them."""
    kind, other = Kind(), Kind()
    steps: list[Step[object]] = [kind.of(5), kind.of(4), keep(3), kind.of(2), other.of(1)]

    outcomes = await asyncio.gather(*(writes.run(step) for step in steps))

    assert outcomes == ["kept 5", "kept 4", 3, "kept 2", "kept 1"]
    assert (kind.calls, other.calls) == ([[5, 4], [2]], [[1]])
    assert kept(path) == [1, 2, 3, 4, 5]


async def test_one_of_a_kind_that_fails_fails_alone(writes: StepThread, path: Path) -> None:
    kind = Kind()

    one, bug, two = await asyncio.gather(
        *(writes.run(kind.of(value)) for value in (1, -1, 2)), return_exceptions=True
    )

    assert (one, two) == ("kept 1", "kept 2")
    assert isinstance(bug, LookupError)
    assert kept(path) == [1, 2]


async def test_a_step_may_raise_anything(writes: StepThread, path: Path) -> None:
    """This holds also for errors that a future doesn't accept."""
    _, one = await asyncio.gather(
        writes.run(lambda raw: next(iter(()))), writes.run(keep(1)), return_exceptions=True
    )

    assert one == 1


async def test_a_lone_failing_step_leaves_nothing(writes: StepThread, path: Path) -> None:
    await writes.run(keep(1))

    with pytest.raises(sqlite3.IntegrityError):
        await writes.run(keep(1))

    assert await writes.run(keep(2)) == 2


async def test_a_lock_held_by_another_fails_the_group_at_once(
    writes: StepThread, path: Path
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
    writes: StepThread, path: Path
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


async def test_a_group_is_bounded(connection: sqlite3.Connection, thread: Thread) -> None:
    sizes: list[int] = []

    def execute(raw: sqlite3.Connection, group: Sequence[Step[Any]]) -> list[Outcome]:
        sizes.append(len(group))
        return commit_together(raw, group)

    steps = StepThread(execute)
    steps.opened(connection, thread)

    values = await asyncio.gather(*(steps.run(keep(n)) for n in range(MAX_GROUP + 1)))

    assert values == list(range(MAX_GROUP + 1))
    assert sizes == [MAX_GROUP, 1]
    await steps.close()


async def test_a_step_that_comes_while_answers_go_out_joins_the_next_group(
    connection: sqlite3.Connection,
    thread: Thread,
) -> None:
    sizes: list[int] = []

    def execute(raw: sqlite3.Connection, group: Sequence[Step[Any]]) -> list[Outcome]:
        sizes.append(len(group))
        return commit_together(raw, group)

    async def one_after_the_other() -> None:
        await steps.run(gate.step)
        await asyncio.sleep(0)
        await steps.run(keep(2))

    steps, gate = StepThread(execute), Gate(1)
    steps.opened(connection, thread)
    first = asyncio.create_task(one_after_the_other())
    await gate.begun()
    waiting = asyncio.create_task(steps.run(keep(3)))
    await asyncio.sleep(0)
    gate.let_through()
    await asyncio.gather(first, waiting)

    assert sizes == [1, 2]
    await steps.close()


async def test_a_step_that_has_not_begun_is_dropped_with_its_caller(
    writes: StepThread, path: Path
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
    writes: StepThread, path: Path
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
    connection: sqlite3.Connection, thread: Thread, path: Path
) -> None:
    steps = StepThread(commit_together)
    steps.opened(connection, thread)
    gate = Gate(1)
    under_way = asyncio.create_task(steps.run(gate.step))
    await gate.begun()
    waiting = asyncio.create_task(steps.run(keep(2)))
    await asyncio.sleep(0)

    closing_it = asyncio.create_task(steps.close())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseError, match="not open"):
        await steps.run(keep(3))
    gate.let_through()
    await closing_it

    assert (under_way.done(), waiting.done()) == (True, True)
    assert [await under_way, await waiting] == [1, 2]
    assert kept(path) == [1, 2]


async def test_a_connection_closed_underneath_fails_the_step(
    connection: sqlite3.Connection, writes: StepThread
) -> None:
    connection.close()

    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        await writes.run(keep(1))


def test_the_end_of_the_loop_leaves_no_caller_waiting(
    connection: sqlite3.Connection, path: Path
) -> None:
    """What asyncio.run cancels at its end, ends; what had begun is carried out all the same."""
    gate = Gate(1)

    async def leave(thread: Thread) -> list[asyncio.Task[int]]:
        steps = StepThread(commit_together)
        steps.opened(connection, thread)
        callers = [asyncio.create_task(steps.run(gate.step))]
        await gate.begun()
        callers.append(asyncio.create_task(steps.run(keep(2))))
        return callers

    with Thread("steps") as thread:
        callers = asyncio.run(leave(thread))
        gate.let_through()

    assert [caller.cancelled() for caller in callers] == [True, True]
    assert kept(path) == [1]


async def test_what_fails_to_confirm_a_group_fails_its_callers(
    connection: sqlite3.Connection, thread: Thread
) -> None:
    """None waits for ever, and the next group is carried out."""
    confirmed: list[list[Outcome]] = []

    def confirm(outcomes: list[Outcome]) -> list[Outcome]:
        confirmed.append(outcomes)
        if len(confirmed) == 1:
            raise MemoryError
        return outcomes

    steps = StepThread(commit_together, confirm=confirm)
    steps.opened(connection, thread)

    async with asyncio.timeout(60):
        failed = await asyncio.gather(
            *(steps.run(keep(number)) for number in (1, 2)), return_exceptions=True
        )
        assert await steps.run(keep(3)) == 3
        await steps.close()

    assert [type(one) for one in failed] == [MemoryError, MemoryError]


async def test_a_failing_read_fails_alone(connection: sqlite3.Connection, thread: Thread) -> None:
    steps = StepThread(read_each)
    steps.opened(connection, thread)

    def fail(connection: sqlite3.Connection) -> None:
        raise LookupError("a bug")

    one, bug = await asyncio.gather(
        steps.run(lambda raw: 1), steps.run(fail), return_exceptions=True
    )

    assert one == 1
    assert isinstance(bug, LookupError)
    await steps.close()


class Where:
    """Steps that tell in which thread they were carried out, and whether it waits for locks."""

    def __init__(self) -> None:
        self._kept = count(1)

    def step(self, connection: sqlite3.Connection) -> str:
        keep(next(self._kept))(connection)
        [patience] = connection.execute("PRAGMA busy_timeout").fetchone()
        name = "loop" if threading.current_thread() is threading.main_thread() else "thread"
        return f"{name}, waits" if patience else name


@pytest.fixture
async def quick(
    connection: sqlite3.Connection, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StepThread]:
    """One that takes every commit that is not said to be slow for fast, on any disk."""
    monkeypatch.setattr(step_thread, "FAST", 60.0)
    steps = StepThread(commit_together)
    steps.opened(connection, thread, lock_timeout=0.05)
    yield steps
    await steps.close()


async def where(steps: StepThread, of: Where, *, is_small: bool = True) -> str:
    return await steps.run(of.step, is_small=is_small)


async def grow_calm(steps: StepThread, of: Where) -> None:
    for _ in range(CALM):
        assert await where(steps, of) == "thread, waits"
    assert await where(steps, of) == "loop"


async def test_a_caller_that_is_alone_is_served_in_the_loop_once_commits_were_fast(
    quick: StepThread, path: Path
) -> None:
    """A step that is not small goes to the thread all the same."""
    of = Where()
    await grow_calm(quick, of)

    assert await where(quick, of, is_small=False) == "thread, waits"
    assert await where(quick, of) == "loop"
    assert kept(path) == list(range(1, CALM + 4))


async def test_callers_at_once_go_to_the_thread_until_one_is_alone_for_a_while(
    quick: StepThread,
) -> None:
    of = Where()
    await grow_calm(quick, of)

    together = await asyncio.gather(*(where(quick, of) for _ in range(3)))

    assert together == ["thread, waits"] * 3
    await grow_calm(quick, of)


async def test_a_slow_commit_sends_the_next_ones_to_the_thread(
    quick: StepThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = Where()
    await grow_calm(quick, of)
    monkeypatch.setattr(step_thread, "FAST", 0.0)

    assert await where(quick, of) == "loop"
    for _ in range(CALM + 3):
        assert await where(quick, of) == "thread, waits"


async def test_a_lock_of_another_is_waited_for_in_the_thread(quick: StepThread, path: Path) -> None:
    """The loop tries once, and stands still for no other process."""
    of = Where()
    await grow_calm(quick, of)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with locked(path), pytest.raises(sqlite3.OperationalError, match="locked"):
        await where(quick, of)
    ticking.cancel()

    assert ticks > 10
    await grow_calm(quick, of)


@pytest.mark.parametrize("callers", [1, 2])
async def test_closing_waits_for_callers_that_have_just_come(
    quick: StepThread, path: Path, callers: int
) -> None:
    """They were taken, although none of them has a step under way or waiting yet."""
    of = Where()
    await grow_calm(quick, of)
    coming = [asyncio.create_task(where(quick, of)) for _ in range(callers)]
    await asyncio.sleep(0)

    await quick.close()

    assert [caller.done() for caller in coming] == [True] * callers
    assert kept(path) == list(range(1, CALM + 2 + callers))


async def test_closing_waits_for_a_caller_that_has_just_come_and_meets_a_lock(
    quick: StepThread, path: Path
) -> None:
    of = Where()
    await grow_calm(quick, of)
    with locked(path):
        coming = asyncio.create_task(where(quick, of))
        await asyncio.sleep(0)

        await quick.close()

        assert coming.done()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await coming


async def test_after_a_cancelled_caller_the_next_one_is_alone(quick: StepThread) -> None:
    of = Where()
    await grow_calm(quick, of)
    cancelled = asyncio.create_task(where(quick, of))
    await asyncio.sleep(0)

    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert await where(quick, of) == "loop"


async def test_a_group_that_fails_to_begin_is_not_under_way(
    quick: StepThread, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(function: Callable[[], None]) -> None:
        raise MemoryError

    of = Where()
    await grow_calm(quick, of)

    with monkeypatch.context() as shortage:
        shortage.setattr(thread, "call", fail)
        with pytest.raises(MemoryError):
            await where(quick, of, is_small=False)

    assert await where(quick, of) == "loop"


async def test_a_step_that_fails_in_the_loop_fails_as_in_the_thread(
    quick: StepThread, path: Path
) -> None:
    of = Where()
    await grow_calm(quick, of)

    with pytest.raises(sqlite3.IntegrityError):
        await quick.run(keep(1), is_small=True)

    assert kept(path) == list(range(1, CALM + 2))


async def test_a_step_calls_back_wherever_it_was_executed(quick: StepThread) -> None:
    told: list[str] = []
    of = Where()

    for _ in range(CALM + 1):
        await quick.run(of.step, then=told.append, is_small=True)

    assert told == ["thread, waits"] * CALM + ["loop"]


class Phases:
    """Executes groups, and tells whether the loop goes on during statements and during a commit."""

    def __init__(self, connection: sqlite3.Connection, thread: Thread) -> None:
        self.steps = StepThread(self._execute, follows_loop=True)
        self.steps.opened(connection, thread)
        self.went_on: list[tuple[bool, bool]] = []
        self.limit = 0.05
        self.after_first: Callable[[], None] = lambda: None
        self._is_watched = False
        self._loop = asyncio.get_running_loop()

    async def two_groups(self) -> list[tuple[bool, bool]]:
        """Return what the loop did during two groups, each of a half of the callers."""
        await self._callers()
        self._is_watched = True
        await self._callers()
        return self.went_on

    async def _callers(self) -> None:
        await asyncio.gather(*(self.steps.run(lambda raw: None) for _ in range(ALTERNATE)))

    def _execute(self, connection: sqlite3.Connection, group: Sequence[Step[Any]]) -> list[Outcome]:
        def commits() -> None:
            if self._is_watched:
                during_statements = self._goes_on(self.limit)
                self.steps.only_commits()
                self.went_on.append((during_statements, self._goes_on(10.0)))
                self.after_first()

        return commit_together(connection, group, before_commit=commits)

    def _goes_on(self, limit: float) -> bool:
        """Whether the loop's thread makes a call within so many seconds."""
        called = threading.Event()
        self._loop.call_soon_threadsafe(called.set)
        return called.wait(limit)


async def test_the_loop_stands_still_for_the_statements_of_a_group_and_not_for_its_commit(
    connection: sqlite3.Connection, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_thread, "FAST", 60.0)
    phases = Phases(connection, thread)

    assert await phases.two_groups() == [(False, True), (False, True)]
    await phases.steps.close()


async def test_after_long_statements_the_loop_does_not_stand_still_for_the_next_ones(
    connection: sqlite3.Connection, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_thread, "FAST", 0.0)
    phases = Phases(connection, thread)
    # Only the first group's statements count as long.
    phases.limit = 10.0
    phases.after_first = lambda: monkeypatch.setattr(step_thread, "FAST", 60.0)

    assert await phases.two_groups() == [(True, True), (True, True)]
    await phases.steps.close()


class Interrupted:
    """A lock; during the first wait for one a signal handler raises an error."""

    is_left = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.release = self._lock.release

    def acquire(self, timeout: float = -1) -> bool:
        if timeout >= 0 and Interrupted.is_left:
            Interrupted.is_left = False
            raise TimeoutError
        return self._lock.acquire(timeout=timeout)


async def test_an_error_of_a_signal_handler_does_not_fail_a_group_under_way(
    connection: sqlite3.Connection, thread: Thread, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop's exception handler gets the error; each caller gets the result of its step."""
    monkeypatch.setattr(Interrupted, "is_left", True)
    locks = SimpleNamespace(Lock=Interrupted, get_native_id=threading.get_native_id)
    monkeypatch.setattr(step_thread, "threading", locks)
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: errors.append(context["exception"])
    )
    steps = StepThread(commit_together, follows_loop=True)
    steps.opened(connection, thread)

    numbers: list[int] = []
    async with asyncio.timeout(60):
        for each in (range(ALTERNATE), range(ALTERNATE, 3 * ALTERNATE)):
            numbers += await asyncio.gather(*(steps.run(keep(number)) for number in each))
        await steps.close()

    assert numbers == kept(path) == list(range(3 * ALTERNATE))
    assert [type(error) for error in errors] == [TimeoutError]
