"""Records of images; times are aware datetimes."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from runtara_domain.record import record


class Runner(StrEnum):
    """How an image becomes a process."""

    OCI = "oci"
    NATIVE = "native"
    WASM = "wasm"
    PYTHON = "python"


@record(kw_only=True)
class Image:
    """A version of workflow code. `problem`: why it can't be run; None if no problem is known."""

    image_id: str
    tenant_id: str
    name: str
    runner: Runner
    created_at: datetime
    description: str | None = None
    version: int | None = None
    is_current: bool | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


@record
class RegisteredImage:
    """The image that has the registered bytes; `created`: False if it was registered before."""

    image_id: str
    version: int | None = None
    created: bool = True
