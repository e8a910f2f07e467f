"""Processes of a launch that no spawner knows of."""

import os
import signal
from pathlib import Path

from runtara_environment.spawner.containers import Container


def end_strays(folder: Path, container: Path) -> None:
    """
    Kill all processes whose working folder is this one, and the launch's container, if there is.

    Every process of a launch begins there, a container's runtime, too; one that was forked from a
    warm interpreter shows its variables and arguments, but not its own.
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
