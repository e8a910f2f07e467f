"""
Containers of launches: a runtime makes them, and the spawner owns them like any process.

The runtime is asked to detach. Then the runtime ends, and the spawner becomes the parent of the
container's first process. So the spawner gets its exit code. The control group exists until the
container is removed, so the spawner can read there what the kernel counted. All files of a
container lie in one folder. The next spawner finds the container by this folder.
"""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtara_environment.spawner.machine import restore_open_files

logger = logging.getLogger(__name__)

_NAME = "container"
"""The name of each container for its runtime. Each container has its own state folder."""
_SAID_AT_MOST = 4096


class ContainerFailed(Exception):
    """The runtime made no container; the text is the runtime's own message."""


@dataclass(eq=False, slots=True)
class Container:
    """The container of one launch, in its folder."""

    folder: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    @staticmethod
    def make(
        folder: Path, runtime: str, config: Mapping[str, Any], cgroup: str | None
    ) -> "Container":
        """Write the files that the runtime needs; cgroup: the control group's path, or None."""
        (folder / "rootfs").mkdir(parents=True)
        (folder / "runtime").write_text(runtime)
        linux = dict(config["linux"])
        if cgroup is not None:
            linux["cgroupsPath"] = cgroup
        (folder / "config.json").write_text(json.dumps({**config, "linux": linux}))
        return Container(folder)

    def start(self, output: int, cwd: Path) -> int:
        """Have the runtime start it; return a pidfd of the runtime, or raise OSError."""
        command = [
            *(*self._runtime(), "--log", str(self.folder / "log"), "--log-format", "json"),
            *("run", "--detach", "--pid-file", str(self._pid_file)),
            *("--bundle", str(self.folder), _NAME),
        ]
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=restore_open_files,
        )
        return os.pidfd_open(self._process.pid)

    def started(self) -> int:
        """Return the pid of the container's process; call this when the runtime has ended."""
        assert self._process is not None, "it was started"
        code = self._process.wait()
        self._process = None
        if code != 0:
            raise ContainerFailed(self._said() or f"the runtime ended with code {code}")
        return int(self._pid_file.read_text())

    def give_up(self) -> None:
        """Kill a runtime that takes too long."""
        assert self._process is not None, "it was started"
        self._process.kill()

    @property
    def runtime_pid(self) -> int | None:
        """The pid of the runtime while it starts or removes the container."""
        return None if self._process is None else self._process.pid

    def remove(self) -> bool:
        """
        Have the runtime remove the container, dead or alive; False: not yet removed, so call again.

        A container that can't be removed stays as it is, for a later sweep.
        """
        try:
            self._process = self._process or self._removing()
        except OSError as error:
            logger.warning("the container in %s can't be removed: %s", self.folder, error)
            return True
        code = self._process.poll()
        if code is None:
            return False
        self._gone(code)
        return True

    def remove_now(self) -> None:
        """Remove the container, and wait for that; raises OSError if the runtime is gone."""
        self._gone(self._removing().wait())

    def _removing(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*self._runtime(), "delete", "--force", _NAME],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _gone(self, code: int) -> None:
        if code == 0:
            shutil.rmtree(self.folder)
        else:
            logger.warning("the container in %s can't be removed, see above", self.folder)

    def _runtime(self) -> tuple[str, ...]:
        return ((self.folder / "runtime").read_text(), "--root", str(self.folder / "state"))

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _said(self) -> str:
        """Return the runtime's last messages; its log has one JSON object a line."""
        try:
            lines = (self.folder / "log").read_text(errors="replace").splitlines()
            said = [str(json.loads(line)["msg"]) for line in lines[-3:]]
        except (FileNotFoundError, ValueError, KeyError):
            return ""
        return "; ".join(said)[-_SAID_AT_MOST:]
