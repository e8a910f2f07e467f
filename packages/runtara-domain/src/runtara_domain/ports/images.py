"""What environments need stored about images."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runtara_domain.model.images import (
    DeletedImage,
    Image,
    ImageFilter,
    NewImage,
    RegisteredImage,
)


class Images(Protocol):
    """
    Images and their bytes.

    Bytes are put in as an upload, a chunk at a time, before the image is there; registering gives
    them to the image. Rows that other programs put in, without bytes, are images too; a row that is
    deleted plainly takes all that belongs to it along, its bytes at the next sweep.
    """

    async def put_chunk(self, upload_id: str, position: int, data: bytes, *, at: datetime) -> None:
        """
        Keep a part of an upload: at most 1 MiB, positions counted from 0, one after the other.

        Raises InvalidValue if it is larger, or the position has other bytes already.
        """
        ...

    async def register(
        self, new: NewImage, upload_id: str | None, *, at: datetime
    ) -> RegisteredImage:
        """
        Make a new version of the name with the upload's bytes, and have the name point to it.

        If the newest version that is not deleted has the same bytes, runner and metadata, nothing
        is done but to forget the upload. upload_id: None if there are no bytes. Of concurrent
        registrations of a name each sees the one before. Blocked instances that use the name move
        to the new version and become due, and a `max_concurrent` in the metadata becomes the limit
        of the name. Raises InvalidValue, and keeps nothing, if the chunks are not all there or
        have not the size that is stated.
        """
        ...

    async def discard(self, upload_id: str) -> None:
        """Forget an upload that was not registered; one that was stays."""
        ...

    async def get(self, image_id: str, tenant_id: str | None = None) -> Image | None:
        """
        Read one, also one that is deleted but hidden; None if there is none, or it is another
        tenant's.
        """
        ...

    async def current(self, tenant_id: str, name: str) -> Image | None:
        """Read the newest version of a name that is not deleted; None if there is none."""
        ...

    async def page(
        self, which: ImageFilter, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Image]:
        """Read images, newest first, ties by id."""
        ...

    async def count(self, which: ImageFilter) -> int:
        """Count images."""
        ...

    async def chunk(self, image_id: str, position: int) -> bytes | None:
        """Read a part of an image's bytes; None behind the last, and if it has none."""
        ...

    async def delete(self, image_id: str, tenant_id: str, *, at: datetime) -> DeletedImage:
        """
        Delete an image, unless open instances use it.

        The row is locked before the instances are counted, and start, move and fork lock it too: so
        a start either is counted or finds no image. An image that no instance was started with is
        gone outright; else it is hidden, its bytes are gone, and history still shows it. The name
        then points to the newest version that is left.
        """
        ...

    async def set_problem(self, image_id: str, problem: str | None) -> bool:
        """
        Note why an image can't be run, at most 64 KiB, or that it can; False if there is none.

        Open instances of it that have no open launch and are not asleep are blocked with the
        problem: they move when a new version is registered.
        """
        ...

    async def sweep(self, before: datetime, *, limit: int = 100) -> int:
        """Forget uploads begun before then that no image has; tells how many."""
        ...
