"""Requests to a spawner, as its messages have them."""

from pathlib import Path
from typing import Any

from runtara_environment.folders import safe_name
from runtara_environment.runners.port import LaunchFolders, ProcessSpec


def start_order(
    launch_id: str, folders: LaunchFolders, spec: ProcessSpec, *, container: Path
) -> dict[str, Any]:
    """Return the fields of a request to start a process; container: the folder for a container."""
    return {
        "launch_id": launch_id,
        "folder": str(folders.folder),
        "argv": list(spec.argv),
        "env": dict(spec.env),
        "cwd": str(spec.cwd),
        "cgroup": safe_name(launch_id),
        "limits": {"memory_bytes": spec.memory_bytes, "cpus": spec.cpus},
        "warm": _warm(spec),
        "container": _container(spec, container),
    }


def _warm(spec: ProcessSpec) -> dict[str, Any] | None:
    warm = spec.warm
    if warm is None:
        return None
    return {
        "key": warm.key,
        "python": warm.python,
        "modules": list(warm.modules),
        "env": dict(warm.env),
        "cwd": warm.cwd,
        "prepare": {"function": warm.prepare, "variables": dict(warm.variables)},
    }


def _container(spec: ProcessSpec, folder: Path) -> dict[str, Any] | None:
    container = spec.container
    if container is None:
        return None
    return {
        "runtime": container.runtime,
        "folder": str(folder),
        "config": dict(container.config),
    }
