"""Calls of the kernel that the spawner makes."""

import ctypes
import os
import resource
from collections.abc import Container
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)


def boot_id() -> str:
    """Return the id that the machine got when it booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def become_subreaper() -> None:
    """Make this process the parent of orphaned descendants, so that it gets their exit codes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def allow_open_files() -> None:
    """Let this process have as many open files as the system allows: each launch needs some."""
    most = _OPEN_FILES[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def restore_open_files() -> None:
    """Limit this process to as many open files as the spawner was started with."""
    resource.setrlimit(resource.RLIMIT_NOFILE, _OPEN_FILES)


def reap_orphans(ours: Container[int | None]) -> None:
    """Reap this process's children that have ended, up to the first one that is in `ours`."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            return
        os.waitpid(ended.si_pid, 0)


def start_time(pid: int) -> int:
    """Return when a process started, in ticks since boot; raises FileNotFoundError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])


def is_process(pid: int, started: int) -> bool:
    """Return whether the process that started then is there, alive or not waited for."""
    try:
        return start_time(pid) == started
    except (FileNotFoundError, ProcessLookupError):
        return False
