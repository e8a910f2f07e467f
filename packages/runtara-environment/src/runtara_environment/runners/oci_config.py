"""
The container of a launch, as a configuration of the OCI runtime specification.

The program is the user's and may need the libraries or the shell of the machine. So the container
has the machine's folders of programs and libraries, read-only, and the few files of /etc that
resolve names and check certificates.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtara_environment.runners.port import LaunchFolders

PROGRAM, DATA, WORKSPACE, CA = "/program", "/data", "/workspace", "/run/runtara/ca.pem"
"""Where a container has its program, the launch's folder, the workspace, the core's authority."""

_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_FILES = (
    "/etc/ld.so.cache",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/protocols",
    "/etc/services",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
)
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_Mount = Mapping[str, object]


def config(
    env: Mapping[str, str], *, program: Path, folders: LaunchFolders, authority: Path | None
) -> dict[str, object]:
    """
    Return the `config.json` of a launch's container.

    The container has no capabilities, gains no privileges, and can write only to the launch's
    folder, the workspace and /tmp. Its network is the machine's. Under another user than root it
    has a user namespace, in which that user is root.
    """
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": [PROGRAM],
            "env": [f"{name}={value}" for name, value in env.items()],
            "cwd": DATA,
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            *_SYSTEM,
            *(_read_only(Path(path), path) for path in (*_PROGRAMS, *_FILES) if _is_there(path)),
            _read_only(program, PROGRAM),
            _writable(folders.folder, DATA),
            _writable(folders.workspace, WORKSPACE),
            *([] if authority is None else [_read_only(authority, CA)]),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "mount", *_user_namespace())],
            **_mappings(),
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


def _tmpfs(destination: str, mode: str, *options: str) -> _Mount:
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", *options, f"mode={mode}"],
    }


# Mounts are made in this order: a mount inside a folder comes after the folder's.
_SYSTEM: Sequence[_Mount] = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    _tmpfs("/dev", "755", "size=64k"),
    _tmpfs("/dev/shm", "1777", "nodev", "noexec"),
    _tmpfs("/tmp", "1777", "nodev"),
)


def _read_only(source: Path, destination: str) -> _Mount:
    return _bind(source, destination, "rbind", "ro")


def _writable(source: Path, destination: str) -> _Mount:
    return _bind(source, destination, "bind", "rw")


def _bind(source: Path, destination: str, *options: str) -> _Mount:
    return {
        "destination": destination,
        "type": "bind",
        "source": str(source),
        "options": [*options, "nosuid", "nodev"],
    }


def _is_there(path: str) -> bool:
    return Path(path).exists()


def _user_namespace() -> Sequence[str]:
    return () if os.geteuid() == 0 else ("user",)


def _mappings() -> Mapping[str, object]:
    if os.geteuid() == 0:
        return {}
    return {
        "uidMappings": [{"containerID": 0, "hostID": os.geteuid(), "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": os.getegid(), "size": 1}],
    }
