"""One launched process: started, watched, ended."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtara_environment.spawner.cgroups import Cgroup
from runtara_environment.spawner.containers import Container
from runtara_environment.spawner.output import OutputLog


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a process ended.

    exit_code or signal; neither if the process was taken over from a spawner that died, because the
    kernel tells them to a parent alone. The resources are those of all its processes: peak memory
    in bytes, CPU in microseconds, None where nothing tells. is_out_of_memory: the kernel killed a
    process of it at its own limit; is_machine_out_of_memory: because the machine, or what bounds
    all launches, had no memory left.
    """

    exit_code: int | None
    signal: int | None
    memory_peak_bytes: int | None
    cpu_usage_usec: int | None
    is_out_of_memory: bool
    is_machine_out_of_memory: bool

    def as_message(self) -> dict[str, Any]:
        """Give its fields for a message."""
        return {
            "exit_code": self.exit_code,
            "signal": self.signal,
            "memory_peak_bytes": self.memory_peak_bytes,
            "cpu_usage_usec": self.cpu_usage_usec,
            "is_out_of_memory": self.is_out_of_memory,
            "is_machine_out_of_memory": self.is_machine_out_of_memory,
        }


@dataclass(eq=False, slots=True)
class Child:
    """
    A launch's process, which is the leader of a session of its own.

    `start_time` with the machine's boot id tells it from a later process with the same pid.
    container: whose first process it is, if it is one's.
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
        self.start_time = start_time(self.pid)

    def kill(self, number: int) -> None:
        """Send a signal to all its processes; does nothing once it has ended."""
        if self.ended is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            os.kill(self.pid, number)
        if number == signal.SIGKILL:
            for pid in self.cgroup.pids():
                _kill_if_there(pid)

    def reap(self) -> Ended:
        """Take the exit code of a process that has ended, and end what it left behind."""
        code, memory, cpu = self._waited()
        _kill_group(self.pid)
        for pid in self.cgroup.pids():
            _kill_if_there(pid)
        self.output.close()
        os.close(self.pidfd)
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

    def clear(self) -> bool:
        """Remove its container and its control group; False: not quite yet, so ask again."""
        if self.container is not None:
            if not self.container.remove():
                return False
            self.container = None
        return self.cgroup.remove()

    def _waited(self) -> tuple[int | None, int | None, int | None]:
        """Give exit code (negative: a signal), peak memory and CPU of its own process."""
        try:
            _, status, usage = os.wait4(self.pid, 0)
        except ChildProcessError:
            return None, None, None
        code = os.waitstatus_to_exitcode(status)
        if self._process is not None:
            # Else the next Popen would look for it, and raise.
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
            preexec_fn=cgroup.enter,
        )
    finally:
        os.close(writer)
    child = Child(launch_id, process.pid, output, cgroup)
    child._process = process
    return child


def adopt(
    launch_id: str,
    pid: int,
    started: int,
    *,
    output: OutputLog,
    cgroup: Cgroup,
    container: Container | None = None,
) -> Child | None:
    """Take over a process of a spawner that died; None if it has ended."""
    try:
        child = Child(launch_id, pid, output, cgroup, container)
    except (ProcessLookupError, FileNotFoundError):
        return None
    if child.start_time != started:
        os.close(child.pidfd)
        return None
    return child


def start_time(pid: int) -> int:
    """Give a process's start in ticks since the machine booted; raise FileNotFoundError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])


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
