"""The port to stored images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model.images import DeletedImage, ImageFilter, NewImage, RegisteredImage
    from runtara_domain.model.stored_images import Image


class Images(Protocol):
    """
    Images and their bytes.

    Bytes are stored first, as an upload of chunks; registering gives them to the image. Rows that
    other programs insert, without bytes, are images too. If plain SQL deletes an image's row, its
    other rows are deleted with it, and its bytes at the next sweep.
    """

    async def put_chunk(self, upload_id: str, position: int, data: bytes, *, at: datetime) -> None:
        """
        Store a part of an upload; positions are counted from 0, without gaps.

        Raises InvalidValue if it has over 1 MiB, or if the position has other bytes already.
        """
        ...

    async def register(
        self, new: NewImage, upload_id: str | None, *, at: datetime
    ) -> RegisteredImage:
        """
        Store a new version of the name with the upload's bytes, and let the name point to it.

        If the newest version that is not deleted has the same bytes, runner and metadata, the step
        only deletes the upload. upload_id: None if there are no bytes. Concurrent registrations of
        a name come one after the other. Blocked instances that use the name move to the new version
        and become due. A `max_concurrent` in the metadata becomes the limit of the name. Raises
        InvalidValue, and stores nothing, if chunks are missing or have another size than stated.
        """
        ...

    async def discard(self, upload_id: str) -> None:
        """Delete an upload, unless it was registered."""
        ...

    async def get(self, image_id: str, tenant_id: str | None = None) -> Image | None:
        """
        Read an image, also a hidden one; None if there is none, or if it is another tenant's.
        """
        ...

    async def current(self, tenant_id: str, name: str) -> Image | None:
        """Read the newest version of a name that is not deleted; None if there is none."""
        ...

    async def page(
        self, which: ImageFilter, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Image]:
        """Read images, newest first; images of equal time by id."""
        ...

    async def count(self, which: ImageFilter) -> int:
        """Count images."""
        ...

    async def chunk(self, image_id: str, position: int) -> bytes | None:
        """Read a part of an image's bytes; None after the last part, or without bytes."""
        ...

    async def delete(self, image_id: str, tenant_id: str, *, at: datetime) -> DeletedImage:
        """
        Delete an image, unless open instances use it.

        The step locks the image's row before it counts the instances; start, move and fork lock the
        row too. So a start is either counted, or finds no image. If no instance was ever started
        with the image, its row is deleted. Otherwise its bytes are deleted, and the row is hidden:
        only the history of instances shows it. The name then points to the newest version left.
        """
        ...

    async def set_problem(self, image_id: str, problem: str | None) -> bool:
        """
        Store why an image can't be run, at most 64 KiB; None removes it. False: no such image.

        A problem blocks the image's open instances that have no open launch and are not asleep;
        they move to the next version when it is registered.
        """
        ...

    async def sweep(self, before: datetime, *, limit: int = 100) -> int:
        """Delete unregistered uploads that began before a moment; return their number."""
        ...
