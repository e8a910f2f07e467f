"""Processes of a launch that no spawner knows."""

import os
import signal
from pathlib import Path

from runtara_environment.spawner.containers import Container


def end_strays(folder: Path, container: Path) -> None:
    """
    Kill all processes whose working folder is this folder, and remove the launch's container.

    Every process of a launch begins in the launch's folder, also a container's runtime. Variables
    and arguments don't identify a process: a process that was forked from a warm interpreter shows
    those of the interpreter.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _works_in(entry, folder):
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
    if container.exists():
        Container(container).remove_now()


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return Path(os.readlink(process / "cwd")) == folder.resolve()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False
