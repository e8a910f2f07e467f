"""An environment's identity: an id that lies in its folder, held by one process at a time."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from runtara_environment.spawner.machine import boot_id


class IdentityTaken(Exception):
    """Another environment works in this folder; process: its id and machine, as "17 on host"."""

    def __init__(self, data_dir: Path, environment_id: str, process: str) -> None:
        super().__init__(
            f"DATA_DIR {data_dir}: the environment {environment_id} (process {process}) works in"
            " it: stop it, or name another folder"
        )
        self.process = process


@dataclass(frozen=True, slots=True)
class Identity:
    """An environment's id, kept over restarts, and the machine that it is on."""

    environment_id: str
    machine: str
    boot_id: str


@contextmanager
def held_identity(data_dir: Path) -> Iterator[Identity]:
    """Hold the identity in `data_dir/id`, made if it is not there; raise IdentityTaken."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "id"
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "r+") as file:
        known = _known(file.read())
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            process = f"{known.get('pid', '?')} on {known.get('machine', '?')}"
            raise IdentityTaken(data_dir, known.get("environment_id", "?"), process) from error
        identity = Identity(
            known.get("environment_id") or f"env-{uuid4().hex}", socket.gethostname(), boot_id()
        )
        file.seek(0)
        file.truncate()
        json.dump(
            {
                "environment_id": identity.environment_id,
                "machine": identity.machine,
                "boot_id": identity.boot_id,
                "pid": os.getpid(),
            },
            file,
        )
        file.flush()
        yield identity


def _known(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
