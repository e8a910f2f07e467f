"""A prepared process: forked from a warm interpreter before the launch that it will run."""

import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runtara_environment.spawner.cgroups import Cgroup, Limits
from runtara_environment.spawner.orders import send
from runtara_environment.spawner.warm import NotWarm


@dataclass(frozen=True, slots=True)
class Forked:
    """A launch's process, which is a child of the spawner."""

    pid: int
    cgroup: Cgroup


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmLaunch:
    """
    A launch that is forked from a warm interpreter.

    warm: the interpreter, as a request has it. group: a name for its control group. order:
    arguments, variables and folder. output: a file descriptor. answered: called once with the
    process, or with the reason why there is none.
    """

    warm: Mapping[str, Any]
    limits: Limits
    group: str
    order: Mapping[str, Any]
    output: int
    answered: Callable[[Forked | NotWarm], None]


@dataclass(eq=False, slots=True)
class Prepared:
    """
    A process that waits for a launch, in a control group of its own.

    `channel` is a socket. It has something to read when the process has begun its launch, or has
    ended. is_answered: the interpreter has reported the pid, or that there is none; then the
    process is a child of the spawner. pid: None until the interpreter or the process reports it.
    """

    cgroup: Cgroup
    limits: Limits
    channel: socket.socket
    pid: int | None = None
    launch: WarmLaunch | None = None
    is_answered: bool = False
    has_begun: bool = False

    def give(self, launch: WarmLaunch) -> bool:
        """Hand it a launch; False: it has ended."""
        self.launch = launch
        try:
            send(self.channel, {**launch.order, "cgroup_procs": []}, launch.output)
        except OSError:
            return False
        return True

    def hear(self) -> bool:
        """Return whether it has begun its launch; False: it has ended, or waits."""
        with suppress(BlockingIOError, ConnectionResetError):
            if told := self.channel.recv(32, socket.MSG_DONTWAIT):
                self.pid, self.has_begun = int(told), True
        return self.has_begun

    def end(self) -> None:
        """End it, dead or alive; its control group stays. Without a pid it ends by itself."""
        self.channel.close()
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
