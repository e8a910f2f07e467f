"""The environment as a process of its own, with what belongs to it on the machine."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.server_process import ServerProcess

_ROOT = Path(__file__).parents[2]
_SPAWNER = "runtara_environment.spawner"


class EnvironmentProcess(ServerProcess):
    """
    `python -m runtara_environment` with these variables and a folder of its own.

    Coverage is not measured: its processes are killed at any moment.
    """

    module = "runtara_environment"
    listening = "RUNTARA_ENV_QUIC"
    # An embedded core listens first.
    listens = r'"listening".*"runtara_environment\.runtime"'

    def __init__(self, data_dir: Path, variables: Mapping[str, str]) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        told = {"DATA_DIR": str(data_dir), **variables}
        super().__init__(data_dir, told, is_measured=False)
        self.data_dir = data_dir.resolve()

    @property
    def environment_id(self) -> str:
        """Its id, once it has listened."""
        found: str = json.loads((self.data_dir / "id").read_text())["environment_id"]
        return found

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.returncode is None

    def processes(self) -> list[int]:
        """Give the pids of the launched processes, and of what they started in their folders."""
        runs = self.data_dir / "runs"
        return [pid for pid, cwd, _ in _all() if cwd.is_relative_to(runs)]

    def spawner(self) -> int | None:
        """Give the pid of its spawner; None if there is none."""
        for pid, cwd, arguments in _all():
            if _SPAWNER in arguments and (cwd == self.data_dir or self._has_open(pid)):
                return pid
        return None

    def kill_spawner(self) -> int | None:
        """SIGKILL the spawner alone; gives its pid."""
        pid = self.spawner()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    def kill_everything(self) -> None:
        """SIGKILL what it has left on the machine: its spawner, and all launched processes."""
        self.kill_spawner()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _has_open(self, pid: int) -> bool:
        with suppress(OSError):
            for number in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if Path(os.readlink(number)) == self.data_dir:
                        return True
        return False


class OddEnvironment(EnvironmentProcess):
    """An environment that `odd_environment` makes odd, as its variables say."""

    module = "tests.support.odd_environment"

    def __init__(self, data_dir: Path, variables: Mapping[str, str]) -> None:
        super().__init__(data_dir, {"PYTHONPATH": str(_ROOT), **variables})


def _all() -> Iterator[tuple[int, Path, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(entry.name), Path(os.readlink(entry / "cwd")), arguments
