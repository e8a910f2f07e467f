"""
The process that is forked for children of a worker: it has imported the workflows, and runs none.

It has one thread and no event loop. What two processes must not share can't be forked: threads,
sockets, event loops, and open files, which may be databases, and have one position for all. Nor can
generators of random numbers, which would repeat; those of `random` and `numpy.random` begin anew.
"""

import ctypes
import fcntl
import gc
import json
import os
import random
import selectors
import signal
import socket
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_THREADS_END = 0.1
"""Seconds for which the system may still list an ended thread."""
_NONE = -1
"""In the place of a descriptor that has not arrived."""


def forked(orders: socket.socket) -> socket.socket:
    """
    Fork for each order of the worker; return in each forked process, with its channel.

    The process that is forked doesn't return: it ends when the worker closes the socket.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    gc.collect()
    problem = unforkable(orders.fileno())
    # Frozen, because in a forked process the collector would copy the page of each tracked object.
    gc.freeze()
    orders.sendall(_line({"problem": problem}))
    if problem:
        os._exit(0)
    ours = os.getpid()
    with _ForkServer(orders) as fork_server:
        channel = fork_server.serve()
    orders.close()
    os.setsid()
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != ours:
        os._exit(1)
    _begin_random_numbers_anew()
    return channel


def unforkable(ours: int) -> str:
    """
    Return what the imports have left that forks can't share, besides a descriptor; or "".

    Raises no Exception: what can't be found out is a problem, too.
    """
    try:
        return _left(ours)
    except Exception as error:
        return f"what the imports have left is not known: {type(error).__name__}: {error}"


def _left(ours: int) -> str:
    until = time.monotonic() + _THREADS_END
    while len(os.listdir("/proc/self/task")) > 1:
        if time.monotonic() > until:
            return "an import starts a thread"
        time.sleep(0.005)
    # One that Python was started without is None: its number may be that of another file.
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    standard = []
    for number, stream in enumerate(streams):
        with suppress(OSError):  # An import has closed it.
            if stream is not None:
                standard.append(_identity(number))
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        with suppress(OSError):  # The folder's own, which is closed by now.
            # Under uvloop there are copies of the standard streams.
            if number == ours or _identity(number) in standard:
                continue
            target = os.readlink(f"/proc/self/fd/{name}")
            is_read = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            mode = os.fstat(number).st_mode
            # A folder, or a device such as /dev/urandom.
            if not is_read or not (stat.S_ISDIR(mode) or stat.S_ISCHR(mode)):
                return f"an import leaves {target} open"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return f"this system can't watch processes: {error}"
    # Not isinstance, which asks an object for its class: a proxy would act on it.
    if any(_repeats(type(one)) and one is not random._inst for one in gc.get_objects()):
        return "an import leaves a random.Random, whose numbers would repeat"
    _begin_random_numbers_anew()
    return ""


def _repeats(kind: type) -> bool:
    return issubclass(kind, random.Random) and not issubclass(kind, random.SystemRandom)


def _begin_random_numbers_anew() -> None:
    """Give numpy's global generator a new state; that of `random` has one in each fork."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _identity(number: int) -> tuple[int, int]:
    found = os.fstat(number)
    return found.st_dev, found.st_ino


@dataclass
class _Child:
    number: int
    pid: int
    handle: int


class _ForkServer:
    """The forked processes that live; closes its descriptors at the end of its block."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._children: dict[int, _Child] = {}
        """By their numbers."""

    def __enter__(self) -> "_ForkServer":
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._orders, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for child in self._children.values():
            os.close(child.handle)

    def serve(self) -> socket.socket:
        """Obey until a fork; return in the forked process."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._reap(key.data)
                elif (channel := self._obey()) is not None:
                    return channel

    def _obey(self) -> socket.socket | None:
        text, received = _received(self._orders)
        if not text:
            # The kernel ends the forked processes, too.
            os._exit(0)
        for line in text.splitlines():
            order = json.loads(line)
            if "kill" in order:
                self._kill(order["kill"])
            elif self._fork(order["fork"], received):
                return socket.socket(fileno=received)
        return None

    def _fork(self, number: int, channel: int) -> bool:
        """Return whether this is the forked process."""
        if channel == _NONE:
            self._failed(number, OSError("its channel has not arrived: too many open files"))
            return False
        for stream in (sys.stdout, sys.stderr):
            # A stream that is closed, broken or full must not end the processes that live.
            with suppress(OSError, ValueError):
                if stream is not None:
                    stream.flush()
        try:
            pid = os.fork()
        except OSError as error:
            self._failed(number, error)
            os.close(channel)
            return False
        if pid == 0:
            return True
        os.close(channel)
        try:
            self._watch(number, pid)
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._failed(number, error)
        return False

    def _watch(self, number: int, pid: int) -> None:
        child = _Child(number, pid, os.pidfd_open(pid))
        try:
            self._selector.register(child.handle, selectors.EVENT_READ, child)
        except OSError:
            os.close(child.handle)
            raise
        self._children[number] = child

    def _failed(self, number: int, error: OSError) -> None:
        """Report a process that ran nothing: its code says nothing of its run."""
        logger.error("no process can be forked: %s", error)
        self._tell(number, None)

    def _kill(self, number: int) -> None:
        if number in self._children:
            os.kill(self._children[number].pid, signal.SIGKILL)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._selector.unregister(child.handle)
        os.close(child.handle)
        del self._children[child.number]
        self._tell(child.number, os.waitstatus_to_exitcode(status))

    def _tell(self, number: int, code: int | None) -> None:
        with suppress(ConnectionError):  # The worker has ended, and this process ends next.
            self._orders.sendall(_line({"ended": number, "code": code}))


def _received(orders: socket.socket) -> tuple[bytes, int]:
    """Return lines, and the descriptor of the last one: what follows a descriptor is read later."""
    text, received, _, _ = socket.recv_fds(orders, 65536, 1)
    for each in received:
        os.set_inheritable(each, False)
    return text, received[0] if received else _NONE


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
