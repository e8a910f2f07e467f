"""One launched process: starting it, sending it signals, and reading how it ended."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtara_environment.spawner.cgroups import Cgroup
from runtara_environment.spawner.containers import Container
from runtara_environment.spawner.machine import restore_open_files, start_time
from runtara_environment.spawner.output import OutputLog


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a process ended.

    One of exit_code and signal is set. Both are None if the process was taken over from a spawner
    that died, because the kernel reports them to the parent alone. The resources are those of all
    processes of the launch: peak memory in bytes, CPU in microseconds, None if unknown.
    is_out_of_memory: the kernel killed one of these processes because the launch reached its own
    limit. is_machine_out_of_memory: the kernel killed one because the machine, or the control group
    of all launches, had no memory left.
    """

    exit_code: int | None
    signal: int | None
    memory_peak_bytes: int | None
    cpu_usage_usec: int | None
    is_out_of_memory: bool
    is_machine_out_of_memory: bool

    def as_message(self) -> dict[str, Any]:
        """Return the fields as a message has them."""
        return {
            "exit_code": self.exit_code,
            "signal": self.signal,
            "memory_peak_bytes": self.memory_peak_bytes,
            "cpu_usage_usec": self.cpu_usage_usec,
            "is_out_of_memory": self.is_out_of_memory,
            "is_machine_out_of_memory": self.is_machine_out_of_memory,
        }


@dataclass(eq=False, slots=True)
class Remains:
    """What a launch leaves when its process has ended, or could not be started."""

    cgroup: Cgroup
    container: Container | None = None

    def clear(self) -> bool:
        """Remove the container and the control group; False: not yet removed, so call again."""
        if self.container is not None:
            if not self.container.remove():
                return False
            self.container = None
        return self.cgroup.remove()


@dataclass(eq=False, slots=True)
class Child:
    """
    A launch's process, which is the leader of a session of its own.

    `start_time` and the machine's boot id tell the process from a later one with the same pid.
    container: the container whose first process this is, or None.
    """

    launch_id: str
    pid: int
    output: OutputLog
    cgroup: Cgroup
    container: Container | None = None
    pidfd: int = field(init=False)
    start_time: int = field(init=False)
    ended: Ended | None = None
    _process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.pidfd = os.pidfd_open(self.pid)
        try:
            self.start_time = start_time(self.pid)
        except OSError:
            os.close(self.pidfd)
            raise

    def kill(self, number: int) -> None:
        """Send a signal to all processes of the launch; does nothing once the launch has ended."""
        if self.ended is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            os.kill(self.pid, number)
        if number == signal.SIGKILL:
            for pid in self.cgroup.pids():
                _kill_if_there(pid)

    @property
    def remains(self) -> Remains:
        """What is to be cleared once the process has ended."""
        return Remains(self.cgroup, self.container)

    def reap(self) -> Ended:
        """Read how the process ended, and kill the processes that it left behind."""
        code, memory, cpu = self._waited()
        # Closed first: what follows opens files, and there may be no descriptor left.
        os.close(self.pidfd)
        _kill_group(self.pid)
        for pid in self.cgroup.pids():
            _kill_if_there(pid)
        self.output.close()
        was_killed, was_full = self.cgroup.memory_kills() > 0, self.cgroup.was_full()
        self.ended = Ended(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            memory_peak_bytes=self.cgroup.memory_peak() or memory,
            cpu_usage_usec=self.cgroup.cpu_usec() or cpu,
            is_out_of_memory=was_killed and was_full,
            is_machine_out_of_memory=was_killed and not was_full,
        )
        return self.ended

    def _waited(self) -> tuple[int | None, int | None, int | None]:
        """Return exit code (negative: a signal), peak memory and CPU of the first process."""
        try:
            _, status, usage = os.wait4(self.pid, 0)
        except ChildProcessError:
            return None, None, None
        code = os.waitstatus_to_exitcode(status)
        if self._process is not None:
            # Without this the next Popen would wait for the process, and raise.
            self._process.returncode = code
        cpu = int((usage.ru_utime + usage.ru_stime) * 1_000_000)
        return code, usage.ru_maxrss * 1024, cpu


def start(
    launch_id: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    *,
    output: OutputLog,
    cgroup: Cgroup,
) -> Child:
    """Start a process; raise OSError if its program can't be run."""

    def begin() -> None:
        cgroup.enter()
        restore_open_files()

    writer = output.open_writer()
    try:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            start_new_session=True,
            preexec_fn=begin,
        )
    finally:
        os.close(writer)
    child = own(launch_id, process.pid, output, cgroup)
    child._process = process
    return child


def own(launch_id: str, pid: int, output: OutputLog, cgroup: Cgroup) -> Child:
    """Return a process that was just started; if that fails, kill it and raise OSError."""
    try:
        return Child(launch_id, pid, output, cgroup)
    except OSError:
        _kill_group(pid)
        os.waitpid(pid, 0)
        raise


def adopt(
    launch_id: str,
    pid: int,
    started: int,
    *,
    output: OutputLog,
    cgroup: Cgroup,
    container: Container | None = None,
) -> Child | None:
    """Take over a process of a spawner that died; None if the process has ended."""
    try:
        child = Child(launch_id, pid, output, cgroup, container)
    except (ProcessLookupError, FileNotFoundError):
        return None
    if child.start_time != started:
        os.close(child.pidfd)
        return None
    return child


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _kill_if_there(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
