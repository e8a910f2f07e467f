"""The folders of launches, named safely whatever their ids are."""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_ODD = re.compile(rb"[^A-Za-z0-9_.-]|\A\.")
_LONGEST = 200
_WORKSPACE = "workspace"
INPUT, OUTPUT = "input.json", "output.json"


def safe_name(identifier: str) -> str:
    """
    Give the name of an id's folder: no two ids share one.

    Bytes that a name should not have are escaped by %. The name of an id that is longer than 200
    bytes then is its SHA-256; its own % can't be made by an escape.
    """
    raw = identifier.encode()
    name = _ODD.sub(lambda odd: b"%%%02X" % odd.group()[0], raw)
    if len(name) > _LONGEST:
        return f"%sha256-{hashlib.sha256(raw).hexdigest()}"
    return name.decode()


@dataclass(frozen=True, slots=True)
class LaunchFolder:
    """
    The folder of one launch below `runs`.

    A process may write there, so what is read from it is opened without following links.
    """

    runs: Path
    tenant_id: str
    instance_id: str
    launch_id: str

    @property
    def instance(self) -> Path:
        """The folder of all launches of the instance."""
        return self.runs / safe_name(self.tenant_id) / safe_name(self.instance_id)

    @property
    def path(self) -> Path:
        """The launch's own folder."""
        return self.instance / safe_name(self.launch_id)

    @property
    def workspace(self) -> Path:
        """The folder that launches of the instance share."""
        return self.instance / _WORKSPACE

    def make(self, given: bytes | None) -> None:
        """Make it, with the instance's input."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.workspace.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(self.path / INPUT, flags, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(given or b"{}")

    def read_output(self, most: int) -> bytes | None:
        """Give what the process left in `output.json`; None if that is no file, or too large."""
        return _read(self.path / OUTPUT, most)

    def logs(self) -> list[Path]:
        """Give the files of what the process wrote, the oldest first."""
        names = ("stderr.log.1", "stderr.log")
        return [self.path / name for name in names if (self.path / name).is_file()]

    def tail(self, size: int) -> bytes:
        """Give the end of what the process wrote."""
        found = b""
        for file in reversed(self.logs()):
            found = _end(file, size - len(found)) + found
            if len(found) >= size:
                break
        return found


def sweep(runs: Path, kept: Collection[Path], before: float) -> int:
    """
    Remove folders of launches that nothing was written to since; gives how many.

    An instance whose last launch goes loses its workspace, too.
    """
    removed = 0
    for instance in runs.glob("*/*"):
        launches = [folder for folder in instance.iterdir() if folder.name != _WORKSPACE]
        old = [one for one in launches if one not in kept and one.lstat().st_mtime < before]
        for folder in old if len(old) < len(launches) else [instance]:
            shutil.rmtree(folder)
        removed += len(old)
    return removed


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
