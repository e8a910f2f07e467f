"""Executables, run directly."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from runtara_domain.model.stored_images import Image
from runtara_environment.runners.port import LaunchFolders, ProcessSpec, limits_of

PROGRAM = "program"


class ProcessRunner:
    """Runs the image's bytes as a program, without arguments, in the launch's folder."""

    reports = False
    sends_launch_id = False

    def install(self, content: Path, folder: Path) -> None:
        program = folder / PROGRAM
        shutil.move(content, program)
        program.chmod(0o755)

    def spec(
        self, image: Image, folders: LaunchFolders, env: Mapping[str, str], *, warm: bool
    ) -> ProcessSpec:
        memory_bytes, cpus = limits_of(image)
        return ProcessSpec(
            argv=[str(folders.code / PROGRAM)],
            env=env,
            cwd=folders.folder,
            memory_bytes=memory_bytes,
            cpus=cpus,
        )
