"""The file by which commands find the `runtara dev` of a folder."""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from runtara_domain.record import record

FILE = "dev.json"


@record
class DevFile:
    """
    The content of `.runtara/dev.json`, in which `runtara dev` describes itself.

    The file stays when `runtara dev` ends, so that the next one listens on the same ports. pid: the
    process that wrote the file. database_url: empty if the user gave a URL, which may have a
    password.
    """

    environment_addr: str
    core_addr: str
    tls_ca: str
    tenant_id: str
    database_url: str
    pid: int

    def write(self, folder: Path) -> None:
        """Write the file into a folder `.runtara`, in one atomic step."""
        named = {name: getattr(self, name) for name in _names()}
        temporary = folder / f"{FILE}.{os.getpid()}"
        temporary.write_text(json.dumps({"format": 1, **named}, indent=2) + "\n")
        temporary.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> "DevFile | None":
        """Read the file of a folder `.runtara`; None if it is missing or can't be used."""
        try:
            found: Any = json.loads((folder / FILE).read_text())
            return cls(**{name: found[name] for name in _names()})
        except (OSError, ValueError, TypeError, KeyError):
            return None


def _names() -> list[str]:
    return [each.name for each in fields(DevFile)]
