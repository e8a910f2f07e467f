"""
The processes of a worker's children: new interpreters, or forks of a fork server.

A fork server is a process that has imported the workflows and runs none. It forks a child in a
fraction of the time that an interpreter takes to start and to import. A fork server that can't be
forked says so, for example because an import has started a thread; then each child is an
interpreter.
"""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import Process as Interpreter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_STANDARD = 2
"""The highest file descriptor of the standard streams."""
_MOST_FAILURES = 2
"""How many fork_servers in a row may end before they are to: then interpreters take their place."""


class Process(Protocol):
    """A child's process."""

    def kill(self) -> None:
        """End it now; raises ProcessLookupError if it is known to have ended."""
        ...

    async def wait(self) -> int | None:
        """Return its exit code, or minus its signal; None if that is lost."""
        ...


class Spawn(Protocol):
    """A way to start a child that obeys the orders on a channel."""

    async def __call__(self, channel: socket.socket) -> tuple[Process, bytes]:
        """
        Return the process, and what is to be sent to it before the first order.

        Raises ConfigurationError or OSError if none can be started.
        """
        ...


class Interpreters:
    """Starts each child as a new interpreter, which imports the workflows."""

    def __init__(self, preparation: Mapping[str, object]) -> None:
        self._preparation = preparation

    async def __call__(self, channel: socket.socket) -> tuple[Process, bytes]:
        return await _interpreter(channel, self._preparation)


async def _interpreter(
    channel: socket.socket, preparation: Mapping[str, object]
) -> tuple[Interpreter, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtara.child_process", str(channel.fileno())),
        pass_fds=[channel.fileno()],
        start_new_session=True,
    )
    return process, _line({**preparation, "inherited": list(_inheritable(channel.fileno()))})


def _inheritable(passed: int) -> Iterator[tuple[int, int, int]]:
    """
    Yield the descriptors that a child may get unasked, each with its device and inode.

    uvloop lets them through, for example the sockets on which a web server listens.
    """
    with suppress(FileNotFoundError):
        for number in map(int, os.listdir("/dev/fd")):
            if number > _STANDARD and number != passed:
                with suppress(OSError):  # The folder's own, which is closed by now.
                    if os.get_inheritable(number):
                        found = os.fstat(number)
                        yield number, found.st_dev, found.st_ino


class Forks:
    """
    Forks each child from a fork server, which starts for the first child and ends after the last.

    interpreters: takes the place of forks where the fork server can't be forked.
    """

    def __init__(self, preparation: Mapping[str, object], interpreters: Interpreters) -> None:
        self._preparation = {**preparation, "forks": True}
        self._interpreters = interpreters
        self._can_fork = sys.platform == "linux"
        self._fork_server: ForkServer | None = None
        self._failures = 0
        """How many fork_servers in a row have ended before they were to."""
        self._is_closed = False

    async def __call__(self, channel: socket.socket) -> tuple[Process, bytes]:
        if self._is_closed:
            raise ConnectionError("the worker's runs are closed")
        self._count_failure()
        if self._can_fork:
            if self._fork_server is None or self._fork_server.task.done():
                self._fork_server = ForkServer(self._preparation)
            fork_server = self._fork_server
            problem = await fork_server.problem()
            if not problem:
                return fork_server.fork(channel), b""
            self._give_up(problem)
        return await self._interpreters(channel)

    def end_if_unused(self) -> None:
        """End the fork server if no process of it lives."""
        self._count_failure()
        if self._fork_server is not None and self._fork_server.is_unused:
            self._fork_server.close()
            self._fork_server = None
            self._failures = 0

    def _count_failure(self) -> None:
        if self._fork_server is not None and self._fork_server.has_failed:
            self._fork_server = None
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                self._give_up(f"the process that is forked has ended {self._failures} times")

    def _give_up(self, problem: str) -> None:
        if self._can_fork:
            logger.info("the worker's processes are started, not forked: %s", problem)
        self._can_fork = False

    async def close(self) -> None:
        """End the fork server, and its processes with it; it starts no process after that."""
        self._is_closed = True
        if self._fork_server is not None:
            self._fork_server.close()
            await asyncio.wait([self._fork_server.task])


class Forked:
    """A process that a fork server has forked."""

    def __init__(self, fork_server: "ForkServer", number: int) -> None:
        self._fork_server, self._number = fork_server, number
        self.code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        self._fork_server.kill(self._number)

    async def wait(self) -> int | None:
        return await asyncio.shield(self.code)


class ForkServer:
    """
    The process that is forked, as its worker sees it.

    Its processes die with it, by the kernel, even one that is blocked; their exit codes are lost.
    """

    def __init__(self, preparation: Mapping[str, object]) -> None:
        self._preparation = preparation
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._forked: dict[int, Forked] = {}
        self._count = self._awaited = 0
        self._orders: socket.socket | None = None
        self._process: Interpreter | None = None
        self._is_closed = False
        self.has_failed = False
        """Whether it has ended, and not by `close`."""
        self.task = asyncio.create_task(self._live())

    @property
    def is_unused(self) -> bool:
        """Whether no process of it lives, and none is wanted."""
        return not self._forked and not self._awaited

    async def problem(self) -> str:
        """
        Wait until it has imported the workflows; return why it can't be forked, "" if it can.

        It can't if it ends before it says so. Raises ConfigurationError if the workflows can't be
        imported, and OSError if no process can be started or if it was closed.
        """
        self._awaited += 1
        try:
            return await asyncio.shield(self._ready)
        finally:
            self._awaited -= 1

    def fork(self, channel: socket.socket) -> Forked:
        """Fork a process that obeys the orders on a channel; raises OSError if it has ended."""
        if self._orders is None:
            raise ConnectionError("the process that is forked has ended")
        self._count += 1
        socket.send_fds(self._orders, [_line({"fork": self._count})], [channel.fileno()])
        forked = self._forked[self._count] = Forked(self, self._count)
        return forked

    def kill(self, number: int) -> None:
        """
        Kill a process of it; does nothing if that, or the fork server, has ended.

        A fork server that takes no orders is killed, and its processes with it.
        """
        if self._orders is not None and number in self._forked:
            try:
                self._orders.sendall(_line({"kill": number}))
            except OSError as error:
                logger.error("the process that is forked takes no orders, and is ended: %s", error)
                self.has_failed = True
                self.close()

    def close(self) -> None:
        """Kill it, and its processes with it."""
        self._is_closed = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _live(self) -> None:
        error: OSError = ConnectionError("the process that is forked has ended")
        try:
            code = await self._serve()
            if self.has_failed and not self._ready.done():
                self._ready.set_result(f"the process that is forked has ended with {code}")
        except OSError as failed:
            error = failed
        finally:
            self._orders = None
            if not self._ready.done():
                self._ready.set_exception(error)
                self._ready.exception()  # Marks the exception as retrieved.
            for forked in self._forked.values():
                forked.code.set_result(None)
            self._forked.clear()

    async def _serve(self) -> int:
        """Start it and hear it until it has ended; return its exit code, or minus its signal."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process, greeting = await _interpreter(theirs, self._preparation)
            except BaseException:
                ours.close()
                raise
        if self._is_closed:
            self.close()
        # Streams can't send descriptors.
        with ours.dup() as self._orders:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                writer.write(greeting)
                with suppress(ConnectionError):
                    while line := await reader.readline():
                        self._hear(json.loads(line))
                self.has_failed |= not self._is_closed
            finally:
                writer.close()
                self.close()
                code = await self._process.wait()
        return code

    def _hear(self, message: dict[str, Any]) -> None:
        if "refused" in message:
            self._ready.set_exception(ConfigurationError(message["refused"]))
            self._ready.exception()  # Marks the exception as retrieved.
            self.close()
        elif "problem" in message:
            self._ready.set_result(message["problem"])
        else:
            self._forked.pop(message["ended"]).code.set_result(message["code"])


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
