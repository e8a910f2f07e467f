"""The runners there are: ours, and those of installed packages."""

from collections.abc import Mapping

from runtara_domain.model.stored_images import RunnerType
from runtara_environment.plugins import plugins
from runtara_environment.runners.oci import WITHOUT_CONTAINER, OciRunner, find_runtime
from runtara_environment.runners.port import Runner
from runtara_environment.runners.process import ProcessRunner
from runtara_environment.runners.python import PythonRunner

GROUP = "runtara.runners"


def runners(oci_runtime: str | None = None) -> Mapping[str, Runner]:
    """
    Return the runner of each runner type that can be run here.

    oci_runtime: as RUNTARA_OCI_RUNTIME; None takes the installed runtime. Without a runtime there
    is no runner of OCI images. An entry point's name is the runner type, and its runner replaces
    ours. Raises PluginBroken.
    """
    found: dict[str, Runner] = {
        RunnerType.NATIVE: ProcessRunner(),
        RunnerType.PYTHON: PythonRunner(),
    }
    runtime = find_runtime(oci_runtime)
    if oci_runtime == WITHOUT_CONTAINER:
        found[RunnerType.OCI] = ProcessRunner()
    elif runtime is not None:
        found[RunnerType.OCI] = OciRunner(runtime)
    for name, make in plugins(GROUP):
        found[name] = make()
    return found


def without_containers(found: Mapping[str, Runner]) -> Mapping[str, Runner]:
    """Return the runners of processes, for a placement without containers."""
    return {name: runner for name, runner in found.items() if not isinstance(runner, OciRunner)}
