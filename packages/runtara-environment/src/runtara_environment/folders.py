"""The folders of launches, with safe names for all ids."""

import asyncio
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runtara_domain import values
from runtara_domain.ports.placements import LogPiece
from runtara_environment.spawner.output import LOG_NAME, OLDER_LOG_NAME, lost

_ODD = re.compile(rb"[^A-Za-z0-9_.-]|\A\.")
_LONGEST = 200
_SMALL = 64 << 10
"""Bytes of a file that is written or read within the event loop."""
_WORKSPACE, _ID = "workspace", ".id"
INPUT, OUTPUT = "input.json", "output.json"


def safe_name(identifier: str) -> str:
    """
    Return the name of an id's folder: no two ids share one.

    Bytes that a file name should not have are escaped by %. If the result is longer than 200 bytes,
    the name is the id's SHA-256, with a % that no escape makes.
    """
    raw = identifier.encode()
    name = _ODD.sub(lambda odd: b"%%%02X" % odd.group()[0], raw)
    if len(name) > _LONGEST:
        return f"%sha256-{hashlib.sha256(raw).hexdigest()}"
    return name.decode()


@dataclass(frozen=True)
class LaunchFolder:
    """
    The folder of one launch below `runs`.

    A launched process may write there, so files in it are opened without following links.
    """

    runs: Path
    tenant_id: str
    instance_id: str
    launch_id: str

    @cached_property
    def instance(self) -> Path:
        """The folder of all launches of the instance."""
        return self.runs / safe_name(self.tenant_id) / safe_name(self.instance_id)

    @cached_property
    def path(self) -> Path:
        """The launch's own folder."""
        return self.instance / safe_name(self.launch_id)

    @property
    def workspace(self) -> Path:
        """The folder that launches of the instance share."""
        return self.instance / _WORKSPACE

    def make(self, given: bytes | None) -> None:
        """Make it, with the instance's input."""
        for folder in (self.instance, self.workspace, self.path):
            folder.mkdir(parents=True, exist_ok=True)
        if not (self.instance / _ID).exists():
            _write(self.instance / _ID, self.instance_id.encode())
        _write(self.path / INPUT, given or b"{}")

    async def make_soon(self, given: bytes | None) -> None:
        """Make it as `make` does; a large input is written in a thread."""
        if given is None or len(given) <= _SMALL:
            self.make(given)
        else:
            await asyncio.to_thread(self.make, given)

    def has_large_output(self) -> bool:
        """Return whether `output.json` is so large that it is to be read in a thread."""
        try:
            return (self.path / OUTPUT).lstat().st_size > _SMALL
        except OSError:
            return False

    def read_output(self, most: int) -> bytes | None:
        """Return the content of `output.json`; None if it is no file, or too large."""
        return _read(self.path / OUTPUT, most)

    def logs(self) -> list[Path]:
        """Return the files of the process's output, the oldest first."""
        names = (OLDER_LOG_NAME, LOG_NAME)
        return [self.path / name for name in names if (self.path / name).is_file()]

    def read_log(self, offset: int, limit: int) -> LogPiece | None:
        """Return a piece of the process's output; None if there is no log here."""
        while True:
            before = lost(self.path)
            with ExitStack() as stack:
                # Rotated between the two, both are the same file.
                opened = [_opened(self.path / name) for name in (LOG_NAME, OLDER_LOG_NAME)]
                numbers = [one for one in reversed(opened) if one is not None]
                for number in numbers:
                    stack.callback(os.close, number)
                piece = _piece(numbers, before, offset, limit)
                is_whole = len({os.fstat(one).st_ino for one in numbers}) == len(numbers)
            if is_whole and lost(self.path) == before:
                return piece if numbers else None

    def tail(self, size: int) -> bytes:
        """Return the end of the process's output."""
        found = b""
        for file in reversed(self.logs()):
            found = _end(file, size - len(found)) + found
            if len(found) >= size:
                break
        return found


def instances_at_rest(runs: Path, kept: Collection[Path], before: float) -> list[tuple[Path, str]]:
    """
    Return folders of instances without changes since then, with the instances' ids.

    Folders that have a kept launch's folder are left out.
    """
    busy = {folder.parent for folder in kept}
    found = []
    for instance in set(runs.glob("*/*")) - busy:
        newest = max(one.lstat().st_mtime for one in (instance, *instance.iterdir()))
        content = _read(instance / _ID, values.MAX_ID_BYTES)
        if newest < before and content is not None:
            found.append((instance, content.decode(errors="replace")))
    return found


def forget_launches(runs: Path, kept: Collection[Path], *, most: int) -> int:
    """Remove the oldest folders of each instance that has more than `most`; gives how many."""
    removed = 0
    for instance in runs.glob("*/*"):
        launches = [one for one in instance.iterdir() if one.name not in (_WORKSPACE, _ID)]
        launches.sort(key=lambda one: one.lstat().st_mtime)
        for folder in launches[: max(len(launches) - most, 0)]:
            if folder not in kept:
                shutil.rmtree(folder)
                removed += 1
    return removed


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _read(path: Path, most: int) -> bytes | None:
    number = _opened(path)
    if number is None:
        return None
    with os.fdopen(number, "rb") as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def _end(path: Path, size: int) -> bytes:
    number = _opened(path)
    if number is None:
        return b""
    with os.fdopen(number, "rb") as file:
        file.seek(max(os.fstat(number).st_size - size, 0))
        return file.read(size)


def _piece(numbers: Sequence[int], before: int, offset: int, limit: int) -> LogPiece:
    """Read from files that follow each other; before: the offset of the first one's begin."""
    data, begin, start = b"", before, max(offset, before)
    for number in numbers:
        size = os.fstat(number).st_size
        inside = start + len(data) - begin
        if 0 <= inside < size:
            data += os.pread(number, min(limit - len(data), size - inside), inside)
        begin += size
    return LogPiece(data, start + len(data), begin)


def _opened(path: Path) -> int | None:
    """Open a file without following a link; None for anything else, which may never end."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    return None
