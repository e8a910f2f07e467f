"""Executables in a container of their own, of a runtime that the machine has."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_images import Image
from runtara_environment.runners.oci_config import CA, DATA, WORKSPACE, config
from runtara_environment.runners.port import (
    ContainerSpec,
    LaunchFolders,
    NotRunnable,
    ProcessSpec,
    limits_of,
)
from runtara_environment.runners.process import PROGRAM, ProcessRunner

WITHOUT_CONTAINER = "process"
"""The value of RUNTARA_OCI_RUNTIME that runs OCI images as plain processes."""
NO_RUNTIME = (
    "there is no container runtime on this machine: install runc, or set RUNTARA_OCI_RUNTIME"
)
_NAMES = ("runc", "crun")
_OF_THIS_MACHINE = ("HOME", "SHELL", "TMPDIR")
"""Variables of the environment whose paths a container doesn't have."""


def check_runtime(configured: str) -> None:
    """Raise InvalidValue if a value of RUNTARA_OCI_RUNTIME can't be used on this machine."""
    if configured == WITHOUT_CONTAINER:
        return
    if configured not in _NAMES and not configured.startswith("/"):
        raise InvalidValue(
            f"takes runc, crun, the absolute path of a runtime, or {WITHOUT_CONTAINER} (no"
            f" container), got {configured!r}"
        )
    if _found(configured) is None:
        raise InvalidValue(
            f"there is no program {configured!r} on this machine: install it, or name another"
        )


def find_runtime(configured: str | None) -> str | None:
    """Return the path of the configured runtime, else of the first one that is installed."""
    names = _NAMES if configured is None else (configured,)
    return next((path for name in names if (path := _found(name)) is not None), None)


def _found(name: str) -> str | None:
    # On Debian they are in folders that are only on root's PATH.
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


class OciRunner:
    """Runs the image's bytes as a program, without arguments, in a container."""

    reports = False
    sends_launch_id = False

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime

    def install(self, content: Path, folder: Path) -> None:
        # The runtime has started the container when the kernel refuses the program in it.
        with content.open("rb") as file:
            begin = file.read(4)
        if not begin.startswith((b"\x7fELF", b"#!")):
            raise NotRunnable("its bytes are no program: they are neither ELF, nor begin with #!")
        ProcessRunner().install(content, folder)

    def spec(
        self, image: Image, folders: LaunchFolders, env: Mapping[str, str], *, warm: bool
    ) -> ProcessSpec:
        memory_bytes, cpus = limits_of(image)
        own = {
            name: value
            for name, value in env.items()
            if name not in _OF_THIS_MACHINE or value != os.environ.get(name)
        }
        own.setdefault("HOME", DATA)
        own["RUNTARA_WORKSPACE_DIR"] = WORKSPACE
        authority = own.get("RUNTARA_TLS_CA")
        if authority is not None:
            own["RUNTARA_TLS_CA"] = CA
        program = folders.code / PROGRAM
        return ProcessSpec(
            argv=[],
            env=own,
            cwd=folders.folder,
            memory_bytes=memory_bytes,
            cpus=cpus,
            container=ContainerSpec(
                runtime=self._runtime,
                config=config(
                    own,
                    # An adopted image is a link to the file that a Rust environment has.
                    program=program.resolve(),
                    folders=folders,
                    authority=None if authority is None else Path(authority),
                ),
            ),
        )
