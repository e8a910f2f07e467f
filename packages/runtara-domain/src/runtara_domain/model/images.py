"""Records of images: workflow code that can be run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from runtara_domain import values
from runtara_domain.error import InvalidValue

MAX_CHUNK_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024
LOCAL = "local"
"""The placement of an image that names none."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """
    A version of an image to be registered.

    image_id: the id that it gets if it becomes a new version. sha256: of all its bytes, in
    lower-case hex. metadata: a JSON object.
    """

    image_id: str
    tenant_id: str
    name: str
    runner_type: RunnerType
    sha256: str
    size_bytes: int
    description: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, text in (
            ("image_id", self.image_id),
            ("tenant_id", self.tenant_id),
            ("name", self.name),
        ):
            values.check_id(name, text)
        if self.description is not None:
            values.check_note("description", self.description)
        if not _SHA256.match(self.sha256):
            raise InvalidValue(f"sha256: takes 64 lower-case hex digits, got {self.sha256!r}")
        values.check_range("size_bytes", self.size_bytes, 0, values.MAX_INTEGER)
        text = self.metadata_text
        values.check_storable("metadata", text)
        values.check_bytes("metadata", text.encode(), MAX_METADATA_BYTES)
        if "\\u0000" in text:
            raise InvalidValue("metadata: takes text without NUL characters")

    @property
    def metadata_text(self) -> str:
        """The metadata as canonical JSON: equal metadata gives equal text."""
        return json.dumps(self.metadata, ensure_ascii=False, sort_keys=True, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True)
class RegisteredImage:
    """The outcome of registering an image. created: False if the newest version was the same."""

    image: Image
    created: bool


@dataclass(frozen=True, slots=True)
class DeletedImage:
    """
    The outcome of deleting an image.

    is_found: False also for another tenant's image. open_instances: the number of open instances
    that use it; unless 0, nothing was deleted. is_hidden: the row stays, for the history of
    finished instances that used the image.
    """

    is_found: bool
    open_instances: int = 0
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """
    Selects images; deleted images are never listed.

    tenant_id: None means all tenants. all_versions: also versions to which their name no longer
    points. name_prefix: only names with this prefix.
    """

    tenant_id: str | None = None
    all_versions: bool = False
    name_prefix: str = ""

    def __post_init__(self) -> None:
        if self.tenant_id is not None:
            values.check_storable("tenant_id", self.tenant_id)
        values.check_storable("name_prefix", self.name_prefix)
