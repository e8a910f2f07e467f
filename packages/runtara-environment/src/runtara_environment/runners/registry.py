"""The runners there are: ours, and those of installed packages."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from runtara_domain.model.images import RunnerType
from runtara_environment.runners.port import Runner
from runtara_environment.runners.process import ProcessRunner
from runtara_environment.runners.python import PythonRunner

GROUP = "runtara.runners"


def runners(oci_runtime: str | None = None) -> Mapping[str, Runner]:
    """
    Give the runner of each runner type that can be run here.

    oci_runtime: `process` runs OCI images without a container; None, or a runtime's name, needs
    that. An entry point's name is the runner type; it takes the place of ours.
    """
    found: dict[str, Runner] = {
        RunnerType.NATIVE: ProcessRunner(),
        RunnerType.PYTHON: PythonRunner(),
    }
    if oci_runtime == "process":
        found[RunnerType.OCI] = ProcessRunner()
    for entry in entry_points(group=GROUP):
        found[entry.name] = entry.load()()
    return found
