"""Records by which images are registered, selected and deleted."""

import json
import re
from collections.abc import Mapping
from dataclasses import field

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.record import record

MAX_CHUNK_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@record(kw_only=True)
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


@record
class RegisteredImage:
    """The outcome of registering an image. created: False if the newest version was the same."""

    image: Image
    created: bool


@record
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


@record
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
