"""
A worker's child: it runs instances in its own process, as its parent orders; see `children`.

With `forks` in what the parent sends first, the process is a fork server, and its forks are the
children.
"""

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from multiprocessing import spawn
from typing import Any, NoReturn

from runtara.children import Loading
from runtara.connection import connected, preload
from runtara.core import SUSPENDED, Order
from runtara.fork_server import forked
from runtara.locating import Location, Way
from runtara.running import Runs
from runtara.threads import limit_threads
from runtara_domain.model.launch_ends import LaunchEnd
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.process.watchdog import HeartbeatThread

logger = get_logger(__name__)

_SUSPECT_LOOKS = 0.4
"""Seconds between a suspect's looks at a SQLite file: fifty processes look, each for one run."""
CANNOT_LOAD = 3
"""The exit code of a child that can't import its workflows; it has reported the error."""


def main() -> NoReturn:
    """Execute the parent's orders from its socket until the parent closes it."""
    # The parent ends its children. A handler, and not SIG_IGN: the user's subprocesses don't
    # inherit it.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    channel = socket.socket(fileno=int(sys.argv[1]))
    told = json.loads(_line(channel))
    _close(told["inherited"])
    location = Location(Way(told["way"]), told["location"], told["shown"])
    Loading.is_under_way = True
    try:
        workflows = {name: _found(target) for name, target in _loaded(told).items()}
    except Exception as error:
        channel.sendall(_message({"refused": f"{type(error).__name__}: {error}"}))
        os._exit(CANNOT_LOAD)
    limit_threads(told["threads"])
    if told.get("forks"):
        preload(location)
        try:
            channel = forked(channel)
        except ConnectionError:
            # The worker has ended; the kernel ends the forked processes with this one.
            os._exit(0)
    with suppress(ConnectionError):
        spacing = _SUSPECT_LOOKS if told.get("forks") else None
        asyncio.run(_serve(channel, location, workflows, spacing))
    # No frame of user code is unwound: the instances go on in other processes.
    os._exit(0)


def _close(inherited: list[tuple[int, int, int]]) -> None:
    """Close those descriptors that are still what they were in the parent."""
    for number, device, node in inherited:
        with suppress(OSError):  # It was not inherited.
            found = os.fstat(number)
            if (found.st_dev, found.st_ino) == (device, node):
                os.close(number)


def _line(channel: socket.socket) -> bytes:
    text = b""
    while not text.endswith(b"\n"):
        piece = channel.recv(1)
        if not piece:
            os._exit(0)
        text += piece
    return text


def _loaded(told: dict[str, Any]) -> dict[str, str]:
    """Make this process's modules those of the parent, the main one too."""
    spawn.prepare(told["preparation"])
    found: dict[str, str] = told["workflows"]
    return found


def _found(target: str) -> Workflow[..., Any]:
    module, _, name = target.partition(":")
    found = getattr(import_module(module), name)
    if not isinstance(found, Workflow):
        raise TypeError(f"{target} is no workflow in a process that imports its module")
    return found


async def _serve(
    channel: socket.socket,
    location: Location,
    workflows: dict[str, Workflow[..., Any]],
    watch_spacing: float | None,
) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    suspended = 0

    def tell(message: dict[str, object]) -> None:
        writer.write(_message(message))

    def ended(launch_id: str, end: LaunchEnd) -> None:
        nonlocal suspended
        suspended += end.exit_code == SUSPENDED
        tell(
            {
                "ended": launch_id,
                "end": _written(end),
                "grown": _memory() - before,
                "suspended": suspended,
            }
        )

    async with AsyncExitStack() as exits:
        connection = await exits.enter_async_context(
            connected(location, watch_spacing=watch_spacing)
        )
        stores = await exits.enter_async_context(connection.stores())
        watch = exits.enter_context(HeartbeatThread())
        watch.begin()
        runs = Runs(workflows, stores, ended)
        before = _memory()
        tell({"ready": True})
        # A parent that is killed before it has read everything resets the connection.
        with suppress(ConnectionError):
            while line := await reader.readline():
                _obey(runs, json.loads(line))
        # The parent has ended or closes: the runs must do nothing more, not even clean up.
        os._exit(0)


def _obey(runs: Runs, message: dict[str, Any]) -> None:
    if "start" in message:
        runs.start(Order(**message["start"]))
    elif "leave" in message:
        runs.leave(message["leave"])
    else:
        runs.kill(message["kill"])


def _written(end: LaunchEnd) -> dict[str, object]:
    return {
        "cause": end.cause,
        "exit_code": end.exit_code,
        "reason": end.reason,
        "is_closed": end.is_closed,
    }


def _message(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _memory() -> int:
    """Return how many bytes of memory this process holds."""
    # Without a buffer and an encoding: each run asks, and they take most of the time.
    with suppress(OSError), open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
