"""Calls of the kernel that the spawner makes."""

import ctypes
import os
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def boot_id() -> str:
    """Return the id that the machine got when it booted."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def become_subreaper() -> None:
    """Make this process the parent of orphaned descendants, so that it gets their exit codes."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
