"""
A worker's runs in child processes.

The memory of a suspended run can't be freed, because no frame of user code is unwound. So a child
that has grown takes no more runs. A new child takes them, and the old one ends with its last run.

When a child dies, its runs are lost. If there were several, none counts a crash, and each instance
is launched again in a child of its own, by any worker: an instance that kills its process harms
others only once. The database has which instances are suspect, from the launch before. A few of
these children begin at once, and they are forked.
"""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from multiprocessing import spawn
from typing import Any

from runtara.core import INFRASTRUCTURE, HasEnded, Order, nothing
from runtara.locating import Location
from runtara.processes import Forks, Interpreters, Process, Spawn
from runtara.starts import Starts, places
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api.workflows import Workflow

logger = get_logger(__name__)

GROWTH = 64 * 1024 * 1024
"""Bytes by which a child may grow before another one takes its place."""
_PATIENCE = 5.0
"""Seconds that a child has for ending a run before it is ended itself."""
_LONGEST_START = 30.0
"""Seconds after which a child that still starts keeps no other from its turn."""
_MOST_KILLED = 5
"""How many times in a row the first process of a worker may be killed while it starts."""
_PREPARED = (
    "sys_path",
    "sys_argv",
    "dir",
    "orig_dir",
    "init_main_from_name",
    "init_main_from_path",
)


class Loading:
    """Whether this process is a child that imports its workflows."""

    is_under_way = False

    @classmethod
    def refuse(cls) -> None:
        """Raise ConfigurationError in such a child: a worker in it would have children, too."""
        if cls.is_under_way:
            raise ConfigurationError(
                "a worker is started by a module that its processes import: put the start under"
                ' `if __name__ == "__main__":`'
            )


def targets(workflows: Mapping[str, Workflow[..., Any]]) -> dict[str, str]:
    """Return `module:name` of each workflow; raises ConfigurationError if no module has it."""
    found = {}
    for name, workflow in workflows.items():
        function = workflow.function
        module = sys.modules.get(function.__module__)
        if getattr(module, function.__qualname__, None) is not workflow:
            raise ConfigurationError(
                f"workflow {name!r} is {function.__module__}.{function.__qualname__}, which is no"
                " name of its module, so no other process finds it: define it at the top level of a"
                ' module, or run it in this process with isolate="none"'
            )
        found[name] = f"{function.__module__}:{function.__qualname__}"
    return found


class Child:
    """One child process and its runs."""

    def __init__(self, pool: "ChildRuns", number: int, spawn: Spawn, *, is_alone: bool) -> None:
        self._pool = pool
        self._spawn = spawn
        self.number = number
        self.is_alone = is_alone
        self.orders: dict[str, Order] = {}
        self.is_retired = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: list[dict[str, object]] = []
        self._process: Process | None = None
        self._is_ended = False
        self._refusal = ""
        self._code: int | None = None
        self.task = asyncio.create_task(self._live())

    def start(self, order: Order) -> None:
        self.orders[order.launch_id] = order
        self._tell({"start": asdict(order)})

    def leave(self, launch_id: str) -> None:
        self._tell({"leave": launch_id})

    def kill(self, launch_id: str) -> None:
        """End a run; ends the process if the run is alone in it, or if it doesn't answer."""
        if self.is_alone:
            self.end()
            return
        self._tell({"kill": launch_id})
        asyncio.get_running_loop().call_later(_PATIENCE, self._end_if, launch_id)

    def retire(self) -> None:
        """Take no more runs, and end with the last one."""
        self.is_retired = True
        if not self.orders and self._writer is not None:
            self._writer.close()

    def end(self) -> None:
        """End the process now."""
        self._is_ended = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def was_killed(self) -> bool:
        """Wait until the process is ready, or has ended before; return whether it was killed."""
        await asyncio.wait([self.ready])
        return self.ready.exception() is not None and self._code == -signal.SIGKILL

    def _end_if(self, launch_id: str) -> None:
        if launch_id in self.orders:
            logger.warning("process %d of the worker does not answer, and is ended", self.number)
            self.end()

    def _tell(self, message: dict[str, object]) -> None:
        if self._writer is None:
            self._waiting.append(message)
        else:
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def _live(self) -> None:
        try:
            self._code = await self._served()
        except (ConfigurationError, OSError) as error:
            self._refusal = str(error)
        finally:
            self._over(self._code)

    async def _served(self) -> int | None:
        """Start the process and serve it until it has ended; return how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process, greeting = await self._spawn(theirs)
            except BaseException:
                ours.close()
                raise
        if self._is_ended:
            self.end()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            writer.write(greeting)
            with suppress(ConnectionError):
                while line := await reader.readline():
                    self._hear(writer, json.loads(line))
        finally:
            writer.close()
        return await self._process.wait()

    def _hear(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        if "refused" in message:
            self._refusal = message["refused"]
        elif "ready" in message:
            self._writer = writer
            for each in self._waiting:
                self._tell(each)
            self._waiting.clear()
            self.ready.set_result(None)
        else:
            end = message["end"]
            self.orders.pop(message["ended"], None)
            found = LaunchEnd(
                cause=Cause(end["cause"]),
                reports=True,
                exit_code=end["exit_code"],
                reason=end["reason"],
                is_closed=end["is_closed"],
            )
            if message["grown"] > GROWTH and message["suspended"] and not self.is_retired:
                logger.info("process %d of the worker has grown, and is replaced", self.number)
                self._pool.replace(self)
            self._pool.ended(message["ended"], found)
            if self.is_retired or self.is_alone:
                self.retire()

    def _over(self, code: int | None) -> None:
        self._pool.children.discard(self)
        has_begun = self.ready.done()
        if not has_begun:
            error = ConfigurationError(
                f"a worker's process can't be started: {self._refusal or f'it ended with {code}'}"
            )
            self.ready.set_exception(error)
            self.ready.exception()  # Marks the exception as retrieved, should nothing await it.
            if not self._is_ended:
                logger.error("%s", error)
        orders, self.orders = list(self.orders.values()), {}
        for order in orders:
            # A process that ran nothing yet was not killed by its instance.
            self._pool.died(order, code if has_begun else None, is_alone=len(orders) == 1)
        self._pool.tidy()


class ChildRuns:
    """The runs of a worker in its children. isolated: each run has a process of its own."""

    def __init__(
        self,
        location: Location,
        workflows: Mapping[str, Workflow[..., Any]],
        ended: HasEnded,
        *,
        isolated: bool,
        threads: int,
    ) -> None:
        data = spawn.get_preparation_data("runtara-worker")
        self.preparation: dict[str, object] = {
            "way": location.way,
            "location": location.value,
            "shown": location.shown,
            "workflows": targets(workflows),
            "threads": threads,
            "preparation": {name: data[name] for name in _PREPARED if data.get(name) is not None},
        }
        self._interpreters = Interpreters(self.preparation)
        self._forks = Forks(self.preparation, self._interpreters)
        self._suspects = Starts(places(), self._begin_suspect)
        self.children: set[Child] = set()
        self._has_ended = ended
        self._isolated = isolated
        self._count = 0
        self._is_closed = False
        self._current = self._child(self._interpreters, is_alone=isolated)

    def __contains__(self, launch_id: str) -> bool:
        return launch_id in self._suspects or self._child_of(launch_id) is not None

    def start(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        if order.launch_id in self:
            return
        if order.is_suspect:
            self._suspects.add(order, begun)
            return
        if self._current not in self.children or self._current.is_retired:
            self._current = self._child(self._interpreters, is_alone=self._isolated)
        child = self._current
        child.start(order)
        begun()
        if self._isolated:
            # The next run finds its process started.
            self._current = self._child(self._interpreters, is_alone=True)

    def leave(self, launch_id: str) -> None:
        if self._suspects.remove(launch_id):
            reason = "the worker ends"
            end = LaunchEnd(
                cause=Cause.EXITED, reports=True, exit_code=INFRASTRUCTURE, reason=reason
            )
            self._has_ended(launch_id, end)
        child = self._child_of(launch_id)
        if child is not None:
            child.leave(launch_id)

    def kill(self, launch_id: str) -> None:
        if self._suspects.remove(launch_id):
            self._has_ended(launch_id, LaunchEnd(cause=Cause.KILLED, reports=True))
        child = self._child_of(launch_id)
        if child is not None:
            child.kill(launch_id)

    def replace(self, child: Child) -> None:
        """Let a child that has grown take no more runs."""
        child.is_retired = True
        if child is self._current and not self._is_closed:
            self._current = self._child(self._interpreters, is_alone=False)

    def ended(self, launch_id: str, end: LaunchEnd) -> None:
        """Report the end of a run whose process is well."""
        self._has_ended(launch_id, end)

    def died(self, order: Order, code: int | None, *, is_alone: bool) -> None:
        """Report a run whose process has died; code: None if that says nothing of the run."""
        if is_alone and code is not None:
            end = _death(code)
        else:
            reason = f"the process that ran it{'' if is_alone else ' among others'} has died"
            end = LaunchEnd(cause=Cause.RUNNER_FAILED, reports=False, reason=reason)
        self._has_ended(order.launch_id, end)

    def tidy(self) -> None:
        """End the process that is forked if there is nothing to fork it for."""
        if not self._suspects:
            self._forks.end_if_unused()

    async def ready(self) -> None:
        """
        Return when the first child can run something; raises ConfigurationError if it can't.

        A child that was killed from outside while it started is replaced, a few times.
        """
        for _ in range(_MOST_KILLED):
            if not await self._current.was_killed():
                break
            self._current = self._child(self._interpreters, is_alone=self._isolated)
        await self._current.ready

    async def close(self) -> None:
        """End all children. No other begins: an order that waits for its turn never has it."""
        self._is_closed = True
        self._suspects.clear()
        for child in self.children:
            child.end()
        await self._forks.close()
        while self.children:
            await asyncio.wait([child.task for child in self.children])

    def _child(self, spawn: Spawn, *, is_alone: bool) -> Child:
        if self._is_closed:
            raise ConnectionError("the worker's runs are closed")
        self._count += 1
        child = Child(self, self._count, spawn, is_alone=is_alone)
        self.children.add(child)
        return child

    def _begin_suspect(self, order: Order) -> None:
        # With isolate="process" two runs share nothing, so forks of one process are none.
        spawn = self._interpreters if self._isolated else self._forks
        child = self._child(spawn, is_alone=True)
        child.start(order)

        def begun(_: object = None) -> None:
            timer.cancel()
            self._suspects.has_begun(order.launch_id)

        timer = asyncio.get_running_loop().call_later(_LONGEST_START, begun)
        child.ready.add_done_callback(begun)

    def _child_of(self, launch_id: str) -> Child | None:
        return next((child for child in self.children if launch_id in child.orders), None)


def _death(code: int) -> LaunchEnd:
    if code >= 0:
        return LaunchEnd(cause=Cause.EXITED, reports=False, exit_code=code)
    reason = f"killed by {signal.Signals(-code).name}"
    return LaunchEnd(cause=Cause.KILLED, reports=False, signal=-code, reason=reason)


@asynccontextmanager
async def child_runs(
    location: Location,
    workflows: Mapping[str, Workflow[..., Any]],
    ended: HasEnded,
    *,
    isolated: bool,
    threads: int,
) -> AsyncIterator[ChildRuns]:
    """Open the runs of a worker in children; raises ConfigurationError where none can start."""
    runs = ChildRuns(location, workflows, ended, isolated=isolated, threads=threads)
    try:
        await runs.ready()
        yield runs
    finally:
        await runs.close()
