"""The interface of runners; other packages add theirs by the entry points `runtara.runners`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtara_domain.model.stored_images import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFolders:
    """
    The folders of a launch.

    code: the image, as the runner installed it. folder: the launch's own. workspace: the
    instance's, which is kept over its launches.
    """

    code: Path
    folder: Path
    workspace: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """
    An interpreter that has imported an image; launches with the same key share it.

    prepare: a function, as MODULE:FUNCTION, that a process is given to do before its launch is
    known; None, or where the module is not imported: nothing. It gets `variables`, which are those
    of any launch.
    """

    key: str
    python: str
    modules: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    prepare: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """
    A container for a process: the path of an OCI runtime, and a `config.json` for it.

    The config's root is `rootfs`, an empty folder. The placement adds the control group.
    """

    runtime: str
    config: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """
    A process to start.

    warm: the interpreter to fork it from; None: it is started as a new process. container: the
    container to start it in; None: it is a plain process.
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
        Unpack an image's bytes into an empty folder, ready to run.

        Raises OSError; NotRunnable if another try would fail, too.
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
    """Return the bytes of memory and the CPUs that an image's metadata allows; None: no bound."""
    memory, cpus = image.metadata.get("memory_mb"), image.metadata.get("cpus")
    return (
        int(memory * 1024 * 1024) if isinstance(memory, int | float) else None,
        float(cpus) if isinstance(cpus, int | float) else None,
    )
