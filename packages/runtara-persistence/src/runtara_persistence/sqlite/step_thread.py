"""
Executes steps in a connection's thread, or in the event loop's own thread.

The connection's thread runs on the CPU of the event loop. If a single caller has been alone for a
while, and the disk fast, its steps run in the loop's thread instead, without the trip to the other
thread: docs/decisions/0034.
"""

import asyncio
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from runtara_domain.error import DatabaseError
from runtara_persistence.batcher import CallBatcher, Group, Waiting
from runtara_persistence.sqlite.group_commit import Done, Failed, Outcome, Step

T = TypeVar("T")

Execute: TypeAlias = Callable[[sqlite3.Connection, Sequence[Step[Any]]], list[Outcome]]

MAX_GROUP = 256
"""The most steps that share one trip to the thread."""

_PAUSE = 3
"""
How many iterations of the loop lie between two groups, unless one caller is alone.

In the first iteration the callers just answered go on; in the second their messages are sent, and
messages that came meanwhile are read, whose steps join the group. A group that begins at once is
smaller, and its thread competes with all this work for the GIL.
"""

ALTERNATE = 8
"""
From so many callers on, a group is committed while the loop serves the callers of another.

The loop stands still while the group's statements are executed: each of them would take the GIL
from the loop, or wait for it. A commit needs no GIL.
"""

FAST = 0.005
"""Seconds that the loop may stand still for a commit, or for a group's statements."""
CALM = 8
"""After this many fast commits in a row, of one caller each, the loop executes the next step."""

_SHORTAGE = 0.05
"""Seconds to wait after a MemoryError before trying again."""

STATUS = Path("/proc/self/status")
_UNKNOWN = -1


class Thread:
    """
    A thread that calls functions, one after the other, while its `with` block runs.

    A ThreadPoolExecutor takes four locks and a future for each call, which costs a single caller a
    fifth more CPU time. The functions must raise nothing.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name)

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called, after the functions given before."""
        self._calls.put(function)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            function()


@dataclass(slots=True, eq=False)
class _PendingStep(Waiting[Step[Any], Outcome]):
    then: Callable[[Any], None] | None = None

    def end(self, outcome: Outcome) -> None:
        if self.then is not None and isinstance(outcome, Done):
            self.then(outcome.value)
        # Not by `super()`: dataclass(slots=True) makes a new class, which `super()` doesn't know.
        if not self.future.done():
            self.future.set_result(outcome)


_Group: TypeAlias = Group[_PendingStep]


class StepThread:
    """
    Executes steps on one connection, in groups: a group takes one trip to the thread and back.

    Open between `opened` and `close`. execute: executes a group, and must raise nothing. confirm:
    called in the event loop with a group's outcomes; returns the outcomes for the callers.
    diagnose: called in the thread with the error of a step that failed. follows_loop: the thread is
    kept on the event loop's CPU, and the loop stands still for the statements of a group that is
    committed while the loop serves others; `execute` calls `only_commits` when they are executed.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        confirm: Callable[[list[Outcome]], list[Outcome]] = lambda outcomes: outcomes,
        diagnose: Callable[[BaseException], None] = lambda error: None,
        follows_loop: bool = False,
    ) -> None:
        self._execute = execute
        self._confirm = confirm
        self._diagnose = diagnose
        self._follows_loop = follows_loop
        self._steps = CallBatcher[_PendingStep](
            self._begin,
            most=MAX_GROUP,
            pause=_PAUSE,
            alternate=ALTERNATE if follows_loop else math.inf,
        )
        # Held by the loop until the statements of the group under way are executed.
        self._statements: threading.Lock | None = None
        # For how many groups the loop does not stand still, after statements that took long.
        self._unwatched = 0
        self._is_open = False
        # How many callers wait for an iteration of the loop: they have no step in the batcher yet.
        self._arriving = 0

    def opened(
        self, connection: sqlite3.Connection, thread: Thread, *, lock_timeout: float | None = None
    ) -> None:
        """
        Take steps from now on, in the running loop.

        lock_timeout: seconds that the thread waits for another process's lock on the file; None: no
        step is executed in the event loop's thread.
        """
        self._connection = connection
        self._thread = thread
        self._pinning = CpuPinning() if self._follows_loop else None
        self._loop = asyncio.get_running_loop()
        self._lock_timeout = lock_timeout
        self._waits_for_locks = True
        self._calm = 0
        self._is_under_way = False
        self._is_open = True

    async def close(self) -> None:
        """Take no more steps, and return when all steps that were taken have their outcomes."""
        self._is_open = False
        # They arrive in the next iteration. An asyncio.Event would cost each lone caller time.
        while self._arriving:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await self._steps.finished()

    async def run(
        self, step: Step[T], *, then: Callable[[T], None] | None = None, is_small: bool = False
    ) -> T:
        """
        Execute a step, and return its result or raise its error.

        A cancelled caller gets its cancellation at once; its step is dropped if it has not begun,
        and otherwise executed. then: called in the event loop with the step's result, also if the
        caller was cancelled; it must not raise. is_small: the step may be executed in the loop's
        thread. Raises DatabaseError when not open.
        """
        if not self._is_open:
            raise DatabaseError("The database is not open: it was closed, or never opened")
        outcome = None
        if is_small and self._is_calm() and await self._has_come_alone() and self._is_calm():
            outcome = self._at_once(step, then)
        if outcome is None:
            pending = _PendingStep(step, self._loop.create_future(), then=then)
            self._steps.add(pending)
            outcome = await pending.future
        if isinstance(outcome, Failed):
            # If the whole group shares an error, it must not collect the tracebacks of all callers.
            raise outcome.error if outcome.own_doing else outcome.error.with_traceback(None)
        value: T = outcome.value
        return value

    def _begin(self, group: _Group) -> None:
        if self._pinning is not None:
            self._pinning.repin()
        statements = threading.Lock() if self._stands_still() else None
        if statements is not None:
            statements.acquire()
        self._statements = statements
        self._thread.call(partial(self._in_thread, group))
        # If the call fails, no group is under way. `_end` runs later, in the event loop.
        self._is_under_way = True
        if statements is not None:
            self._wait(statements)

    def _wait(self, statements: threading.Lock) -> None:
        try:
            if not statements.acquire(timeout=FAST):
                self._unwatched = CALM
        except Exception as error:
            # A signal handler raised it. The batcher would take the group for one not begun.
            said = "a signal handler raised an error while a group of steps was under way"
            self._loop.call_exception_handler({"message": said, "exception": error})

    def _stands_still(self) -> bool:
        """Whether the loop waits for the statements of the next group."""
        if self._unwatched:
            self._unwatched -= 1
            return False
        return self._steps.is_alternating

    def only_commits(self) -> None:
        """Let the loop go on: the statements of the group under way are executed."""
        statements, self._statements = self._statements, None
        if statements is not None:
            statements.release()

    def _end(self, group: _Group, outcomes: list[Outcome]) -> None:
        try:
            confirmed = self._confirm(outcomes)
        except Exception as error:
            # Or these callers, and all after them, would wait for ever.
            confirmed = [Failed(error)] * len(outcomes)
        self._is_under_way = False
        group.end(confirmed)

    def _is_calm(self) -> bool:
        """Whether no step is under way, one caller was alone for a while, and the disk was fast."""
        is_free = not self._is_under_way and not self._steps.has_waiting
        return is_free and self._calm >= CALM and self._lock_timeout is not None

    async def _has_come_alone(self) -> bool:
        """Wait, as a group does, for callers in this iteration of the loop; True if none came."""
        is_first = self._arriving == 0
        self._arriving += 1
        try:
            await asyncio.sleep(0)
            return is_first and self._arriving == 1
        finally:
            # `close` can't run until this caller has its outcome, or a step in the batcher: nothing
            # is awaited in between.
            self._arriving -= 1

    def _at_once(self, step: Step[Any], then: Callable[[Any], None] | None) -> Outcome | None:
        """Execute a step in the loop's thread; None: it failed, without effect."""
        # The loop waits for no lock and diagnoses no error: the thread executes the step again.
        if self._waits_for_locks:
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._waits_for_locks = False
        [outcome] = self._timed([step])
        if isinstance(outcome, Failed) and isinstance(outcome.error, Exception):
            return None
        [outcome] = self._confirm([outcome])
        if then is not None and isinstance(outcome, Done):
            then(outcome.value)
        return outcome

    def _in_thread(self, group: _Group) -> None:
        try:
            outcomes = self._patiently(group)
        except BaseException as error:
            outcomes = [Failed(error)] * len(group.members)
        self.only_commits()
        while True:
            try:
                self._loop.call_soon_threadsafe(self._end, group, outcomes)
            except MemoryError:
                # Or these callers, and all after them, would wait for ever.
                time.sleep(_SHORTAGE)
            except RuntimeError:
                # The event loop is closed, so no caller waits any more.
                return
            else:
                return

    def _patiently(self, group: _Group) -> list[Outcome]:
        if self._pinning is not None:
            self._pinning.register()
        if not self._waits_for_locks and self._lock_timeout is not None:
            self._connection.execute(f"PRAGMA busy_timeout = {int(self._lock_timeout * 1000)}")
            self._waits_for_locks = True
        outcomes = self._timed([pending.step for pending in group.members])
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                self._diagnose(outcome.error)
        return outcomes

    def _timed(self, steps: Sequence[Step[Any]]) -> list[Outcome]:
        began = time.monotonic()
        outcomes = self._execute(self._connection, steps)
        is_fast = time.monotonic() - began <= FAST
        is_calm = is_fast and len(outcomes) == 1 and isinstance(outcomes[0], Done)
        self._calm = self._calm + 1 if is_calm else 0
        return outcomes


class CpuPinning:
    """
    Keeps a thread on the CPU on which another thread last ran; that other thread stays unpinned.

    The two threads alternate in holding the GIL. On one CPU that is a switch of threads; on two,
    the other CPU must wake up, and shared data moves between their caches.

    Only speed depends on it. It has no effect if the system has no CPU affinity or refuses to set
    it, or if a seccomp filter is on.
    """

    def __init__(self) -> None:
        self._current_cpu = _lookup()
        self._thread: int | None = None
        self._cpu: int | None = None

    def register(self) -> None:
        """Choose the calling thread as the one to pin, from the next `repin` on."""
        self._thread = threading.get_native_id()

    def repin(self) -> None:
        """Pin the registered thread to the CPU on which the calling one runs; raises nothing."""
        if self._current_cpu is None or self._thread is None:
            return
        cpu = self._current_cpu()
        if cpu in (self._cpu, _UNKNOWN):
            return
        self._cpu = cpu
        try:
            os.sched_setaffinity(self._thread, {cpu})
        except OSError:
            # This process may no longer use that CPU, or the system allows no affinity.
            return


def _lookup() -> Callable[[], int] | None:
    """The C library's `sched_getcpu`, which Python does not offer; None: it can't be used."""
    if not hasattr(os, "sched_setaffinity") or _is_filtered():
        return None
    try:
        # Not every Python has ctypes.
        import ctypes

        # Not CDLL: it would release the GIL for a call of nanoseconds, and wait to take it again.
        system = ctypes.PyDLL(None)
    except (ImportError, OSError):
        return None
    found: Callable[[], int] | None = getattr(system, "sched_getcpu", None)
    return found


def _is_filtered() -> bool:
    """Return whether seccomp filters system calls: a forbidden call may end the process."""
    try:
        status = STATUS.read_text()
    except OSError:
        return True
    modes = [line.split()[1] for line in status.splitlines() if line.startswith("Seccomp:")]
    return modes not in ([], ["0"])
