"""Images as they are stored: workflow code that can be run."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Self

from runtara_domain.record import record

LOCAL = "local"
"""The placement of an image that names none."""


class RunnerType(StrEnum):
    """How an image becomes a process, as it is stored."""

    OCI = "oci"
    NATIVE = "native"
    WASM = "wasm"
    PYTHON = "python"

    @classmethod
    def of(cls, word: str) -> Self:
        """Read a stored type; an unknown type of another program reads as OCI."""
        return cls(word) if word in set(cls) else cls("oci")


@record(kw_only=True)
class Image:
    """
    A version of an image; version counts from 1 for each name of a tenant.

    sha256, size_bytes: None if its bytes are not in the database, as for an image of a Rust
    environment, which runs where the file `binary_path` exists. is_current: whether its name
    points to this version. deleted_at: when the image was hidden and its bytes were deleted.
    problem: why it can't be run, as an environment found; None if no problem is known.
    """

    image_id: str
    tenant_id: str
    name: str
    version: int
    runner_type: RunnerType
    created_at: datetime
    description: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    is_current: bool = True
    deleted_at: datetime | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    binary_path: str | None = None
    problem: str | None = None

    @property
    def workflow(self) -> str:
        """The name of the workflow that the image serves."""
        return str(self.metadata.get("workflow") or self.name)

    @property
    def placement(self) -> str:
        """The name of the placement of its processes."""
        return str(self.metadata.get("placement") or LOCAL)

    @property
    def max_concurrent(self) -> int | None:
        """The most open launches of the image's name, by this metadata; None: no bound."""
        number = self.metadata.get("max_concurrent")
        return number if isinstance(number, int) and not isinstance(number, bool) else None
