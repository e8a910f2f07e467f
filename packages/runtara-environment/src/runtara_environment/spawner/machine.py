"""What the spawner asks of the kernel."""

import ctypes
import os
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def boot_id() -> str:
    """Give the id of this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def become_subreaper() -> None:
    """Let processes whose parents have ended fall to this one, so that it gets their exit codes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
