"""What a runner must do; third parties bring theirs by the entry points `runtara.runners`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtara_domain.model.images import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFolders:
    """
    The folders of a launch. code: as the runner installed the image. folder: the launch's own.
    workspace: kept over launches of the instance.
    """

    code: Path
    folder: Path
    workspace: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """An interpreter that has imported an image; launches with the same key share it."""

    key: str
    python: str
    modules: Sequence[str]
    env: Mapping[str, str]
    cwd: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """
    A container to start a process in: the program of an OCI runtime, and a `config.json` for it.

    The config's root is `rootfs`, an empty folder; the placement adds the control group.
    """

    runtime: str
    config: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """
    A process to start.

    warm: the interpreter it is forked from, None: it is started anew. container: what it is started
    in, by the config alone; None: as a process like any other.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    memory_bytes: int | None = None
    cpus: float | None = None
    warm: Warm | None = field(default=None)
    container: ContainerSpec | None = field(default=None)


class NotRunnable(ValueError):
    """An image's bytes are nothing that its runner could ever run; the text says why."""


class Runner(Protocol):
    """How images of one runner type become processes."""

    @property
    def reports(self) -> bool:
        """Whether its processes end with the exit codes of our SDK."""
        ...

    @property
    def sends_launch_id(self) -> bool:
        """Whether its processes register with their launch id."""
        ...

    def install(self, content: Path, folder: Path) -> None:
        """
        Make an image's bytes what is run, in an empty folder.

        Raises OSError, and NotRunnable if another try would fail as well.
        """
        ...

    def spec(
        self, image: Image, folders: LaunchFolders, env: Mapping[str, str], *, warm: bool
    ) -> ProcessSpec:
        """
        Return the process of a launch. env: all its variables, but for the runner's own.

        warm: False if the image can't be forked.
        """
        ...


def limits_of(image: Image) -> tuple[int | None, float | None]:
    """Give the bytes of memory and the CPUs that an image's metadata allows; None: no bound."""
    memory, cpus = image.metadata.get("memory_mb"), image.metadata.get("cpus")
    return (
        int(memory * 1024 * 1024) if isinstance(memory, int | float) else None,
        float(cpus) if isinstance(cpus, int | float) else None,
    )
