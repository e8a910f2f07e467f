"""
Control groups: the limits of memory and CPU for a launch, and the use of its processes.

Linux has two versions of control groups, and many machines mount the old version. Both are plain
files. If this process may write neither (no root, no delegation), there are no limits, and figures
come from the process's own resource usage.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtara_environment.spawner.machine import is_process, start_time

logger = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
_PARENT = "runtara"
"""The group of all launches' groups."""
_PREPARED = re.compile(r"prepared-(\d+)-(\d+)-\d+")
"""The name of a prepared process's group: pid and start time of its spawner, and a number."""
_PERIOD_USEC = 100_000
_HUGE_PAGE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a launch may use; None: no bound."""

    memory_bytes: int | None = None
    cpus: float | None = None


@dataclass(slots=True)
class Cgroup:
    """A launch's control group: one folder on version 2, one a controller on version 1."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    is_v2: bool = False

    def entrances(self) -> list[str]:
        """
        Return the files by which a process of one thread enters: each is written a 0.

        On version 1 the kernel moves a whole process only after a wait for all CPUs, which takes
        up to 40 ms on a busy machine. It moves a thread at once.
        """
        name = "cgroup.procs" if self.is_v2 else "tasks"
        return [str(folder / name) for folder in set(self.folders.values())]

    def enter(self) -> None:
        """
        Move the calling process into the group; its later children start in the group.

        The process has one thread.
        """
        for file in self.entrances():
            Path(file).write_text("0")

    def memory_peak(self) -> int | None:
        """Return the most memory that its processes had at once, in bytes; None if unknown."""
        return self._number("memory", "memory.peak", "memory.max_usage_in_bytes")

    def cpu_usec(self) -> int | None:
        """Return the CPU time of all its processes, in microseconds; None if unknown."""
        if self.is_v2:
            return self._counter("cpuacct", "cpu.stat", "usage_usec")
        nanoseconds = self._number("cpuacct", "", "cpuacct.usage")
        return None if nanoseconds is None else nanoseconds // 1000

    def was_full(self) -> bool:
        """Return whether its processes have ever needed more memory than its limit."""
        if self.is_v2:
            return bool(self._counter("memory", "memory.events", "oom"))
        # Not all kernels count failures. A refused request may be as large as a huge page.
        limit = self._number("memory", "", "memory.limit_in_bytes") or 0
        return (self.memory_peak() or 0) + _HUGE_PAGE >= limit

    def memory_kills(self) -> int:
        """Count its processes that the kernel killed for lack of memory, its or the machine's."""
        name = "memory.events" if self.is_v2 else "memory.oom_control"
        return self._counter("memory", name, "oom_kill") or 0

    def pids(self) -> list[int]:
        """List the processes that are in the group now."""
        found: set[int] = set()
        for folder in self.folders.values():
            try:
                found.update(map(int, _content(folder / "cgroup.procs").split()))
            except FileNotFoundError:
                continue
        return sorted(found)

    def remove(self) -> bool:
        """Remove the group; False: a process in it has not ended completely, so call again."""
        for folder in set(self.folders.values()):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def _number(self, controller: str, v2: str, v1: str) -> int | None:
        text = self._read(controller, v2 if self.is_v2 else v1)
        return None if text is None else int(text)

    def _counter(self, controller: str, name: str, key: str) -> int | None:
        text = self._read(controller, name) or ""
        found = dict(line.split(None, 1) for line in text.splitlines() if " " in line)
        return int(found[key]) if key in found else None

    def _read(self, controller: str, name: str) -> str | None:
        folder = self.folders.get(controller)
        if folder is None:
            return None
        try:
            return _content(folder / name).decode().strip()
        except FileNotFoundError:
            return None


def name_of(pid: int, root: Path = ROOT) -> str | None:
    """Return the name of the group of a launch that a process is in; None if it is in none."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in lines:
        parent, _, name = line.rpartition("/")
        if parent.endswith("/" + _PARENT) and name:
            return name
    return None


def prepared_name(number: int) -> str:
    """Return the name of a group for a process that this spawner prepares."""
    return f"prepared-{os.getpid()}-{start_time(os.getpid())}-{number}"


def sweep_prepared(root: Path = ROOT) -> None:
    """Remove the groups of prepared processes that spawners have left which have died."""
    for folder in [*root.glob(f"*/{_PARENT}/prepared-*"), *root.glob(f"{_PARENT}/prepared-*")]:
        found = _PREPARED.fullmatch(folder.name)
        if found is not None and not is_process(int(found[1]), int(found[2])):
            # While a launch's process is in it, this fails: the group is removed at its end.
            with suppress(OSError):
                folder.rmdir()


def create(name: str, limits: Limits, root: Path = ROOT) -> Cgroup:
    """
    Make a control group with these limits, if this process may make one.

    If it may not, the group has no folders, limits nothing and measures nothing.
    """
    try:
        if (root / "cgroup.controllers").exists():
            return _create_v2(root / _PARENT / name, limits)
        return _create_v1(root, name, limits)
    except OSError as error:
        logger.warning("no control group for %s, so its limits don't apply: %s", name, error)
        return Cgroup()


def _create_v2(folder: Path, limits: Limits) -> Cgroup:
    folder.parent.mkdir(exist_ok=True)
    for parent in (folder.parent.parent, folder.parent):
        (parent / "cgroup.subtree_control").write_text("+memory +cpu")
    folder.mkdir(exist_ok=True)
    if limits.memory_bytes is not None:
        (folder / "memory.max").write_text(str(limits.memory_bytes))
        _write_if_there(folder / "memory.swap.max", "0")
    if limits.cpus is not None:
        (folder / "cpu.max").write_text(f"{_quota(limits.cpus)} {_PERIOD_USEC}")
    return Cgroup(dict.fromkeys(("memory", "cpu", "cpuacct"), folder), is_v2=True)


def _create_v1(root: Path, name: str, limits: Limits) -> Cgroup:
    folders = dict(_folders_v1(root, name))
    if limits.memory_bytes is not None and "memory" in folders:
        (folders["memory"] / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        _write_if_there(folders["memory"] / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
    if limits.cpus is not None and "cpu" in folders:
        (folders["cpu"] / "cpu.cfs_period_us").write_text(str(_PERIOD_USEC))
        (folders["cpu"] / "cpu.cfs_quota_us").write_text(str(_quota(limits.cpus)))
    return Cgroup(folders)


def _folders_v1(root: Path, name: str) -> Iterator[tuple[str, Path]]:
    for controller in ("memory", "cpu", "cpuacct"):
        if not (root / controller / "cgroup.procs").exists():
            continue
        folder = root / controller / _PARENT / name
        folder.mkdir(parents=True, exist_ok=True)
        yield controller, folder


def _quota(cpus: float) -> int:
    return max(int(cpus * _PERIOD_USEC), 1000)


def _content(file: Path) -> bytes:
    """Read a control file without a file object: ten of them are read at the end of a launch."""
    number = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = b""
        while data := os.read(number, 65536):
            found += data
        return found
    finally:
        os.close(number)


def _write_if_there(file: Path, text: str) -> None:
    """Write a control file that kernels without swap accounting don't have."""
    if os.access(file, os.W_OK):
        file.write_text(text)
