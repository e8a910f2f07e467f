"""A process in which the kernel forbids a system call, as a hardened service has it."""

import ctypes
import errno
import os
import platform
import struct

_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_ON_ALL_THREADS = 1
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NUMBERS = {"x86_64": (317, 18), "aarch64": (277, 68)}
"""The numbers of seccomp and pwrite64 on each machine."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_writing_at_an_offset() -> None:
    """Let `pwrite64` fail with EPERM from here on, in every thread of this process, for good."""
    seccomp, pwrite64 = _NUMBERS[platform.machine()]
    rules = [
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 0, 1, pwrite64),  # another one: skip the next rule
        (0x06, 0, 0, _FAIL | errno.EPERM),
        (0x06, 0, 0, _ALLOW),
    ]
    program = _Program(len(rules), b"".join(struct.pack("HBBI", *rule) for rule in rules))
    libc = ctypes.CDLL(None, use_errno=True)
    for failed in (
        libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        libc.syscall(seccomp, _SET_MODE_FILTER, _ON_ALL_THREADS, ctypes.byref(program)),
    ):
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
