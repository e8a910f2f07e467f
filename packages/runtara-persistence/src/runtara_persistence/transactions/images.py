"""Images in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.error import DatabaseError, InvalidValue
from runtara_domain.model.images import MAX_CHUNK_BYTES, DeletedImage, RegisteredImage
from runtara_persistence import queries, records, stored
from runtara_persistence.transactions import moves
from runtara_persistence.transactions.transaction import (
    Transacting,
    Transaction,
    fetch,
    first,
    only,
    transact,
)

if TYPE_CHECKING:
    from runtara_domain.model.images import ImageFilter, NewImage
    from runtara_domain.model.stored_images import Image

_SQL = queries.shared("images.sql")
_BOUND = queries.shared("limits.sql")["bound"]
_OF_AN_IMAGE = "image"
"""`Scope.IMAGE`, whose module commands that only read need not import."""
_TRIES = 3
"""How often a chunk that stands in the way may have been deleted before it is read."""


class ImageTransactions(Transacting):
    """Fits `runtara_domain.ports.images.Images`."""

    @transact("store a part of an image", is_single=True, is_repeatable=True)
    def put_chunk(
        self, upload_id: str, position: int, data: bytes, *, at: datetime
    ) -> Transaction[None]:
        values.check_id("upload_id", upload_id)
        values.check_range("position", position, 0, values.MAX_LIMIT)
        values.check_bytes("data", data, MAX_CHUNK_BYTES)
        chunk = {"upload_id": upload_id, "position": position, "data": data}
        # A chunk that stands in the way may be deleted with its upload before it is read.
        for _ in range(_TRIES):
            if (yield from first(_SQL["put_chunk"], **chunk, at=at)) is not None:
                return
            row = yield from first(_SQL["put_chunk.is_same"], **chunk)
            if row is None:
                continue
            if not row["is_same"]:
                raise InvalidValue(f"position: {position} of the upload has other bytes already")
            return
        raise DatabaseError(
            "Failed to store a part of an image: its row is not stored, and no row of its position"
            " is there. See whether a trigger on the table image_chunks drops rows"
        )

    @transact("register an image")
    def register(
        self, new: NewImage, upload_id: str | None, *, at: datetime
    ) -> Transaction[RegisteredImage]:
        name = {"tenant_id": new.tenant_id, "name": new.name}
        yield from fetch(_SQL["register.lock"], **name)
        row = yield from first(_SQL["current"], **name)
        newest = None if row is None else records.image(row)
        if newest is not None and stored.is_same_image(newest, new):
            yield from fetch(_SQL["discard"], upload_id=upload_id)
            return RegisteredImage(newest, created=False)
        upload = yield from only(_SQL["register.measure"], upload_id=upload_id)
        stored.check_upload(new, upload["chunks"], upload["last_position"], upload["size"])
        last = yield from only(_SQL["register.last_version"], **name)
        yield from fetch(_SQL["register.retire"], **name)
        row = yield from only(
            _SQL["register.insert"],
            **name,
            image_id=new.image_id,
            description=new.description,
            runner_type=new.runner_type.value,
            at=at,
            metadata=new.metadata_text,
            version=last["version"] + 1,
            sha256=new.sha256,
            size_bytes=new.size_bytes,
            upload_id=upload_id,
        )
        image = records.image(row)
        if image.max_concurrent is not None:
            yield from fetch(_SQL["register.bound"], **name, max_concurrent=image.max_concurrent)
        yield from _move_stuck(image, at)
        if image.max_concurrent is not None:
            # After the instances: a step that closes a launch locks its instance first, too.
            yield from fetch(_BOUND, **name, scope=_OF_AN_IMAGE)
        yield from fetch(_SQL["tell"])
        return RegisteredImage(image, created=True)

    @transact("delete an upload", is_single=True, is_repeatable=True)
    def discard(self, upload_id: str) -> Transaction[None]:
        values.check_storable("upload_id", upload_id)
        yield from fetch(_SQL["discard"], upload_id=upload_id)

    @transact("read an image", only_reads=True)
    def get(self, image_id: str, tenant_id: str | None = None) -> Transaction[Image | None]:
        values.check_storable("image_id", image_id)
        row = yield from first(_SQL["get"], image_id=image_id, tenant_id=tenant_id)
        return None if row is None else records.image(row)

    @transact("read the newest version of an image", only_reads=True)
    def current(self, tenant_id: str, name: str) -> Transaction[Image | None]:
        values.check_storable("name", name)
        row = yield from first(_SQL["current"], tenant_id=tenant_id, name=name)
        return None if row is None else records.image(row)

    @transact("list images", only_reads=True)
    def page(
        self, which: ImageFilter, *, offset: int = 0, limit: int = 100
    ) -> Transaction[Sequence[Image]]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        asked = {**records.columns(which), "offset": offset, "limit": limit}
        return [records.image(row) for row in (yield from fetch(_SQL["page"], **asked))]

    @transact("count images", reads_much=True)
    def count(self, which: ImageFilter) -> Transaction[int]:
        row = yield from only(_SQL["count"], **records.columns(which))
        return int(row["count"])

    @transact("read a part of an image", only_reads=True)
    def chunk(self, image_id: str, position: int) -> Transaction[bytes | None]:
        values.check_storable("image_id", image_id)
        row = yield from first(_SQL["chunk"], image_id=image_id, position=position)
        return None if row is None else bytes(row["data"])

    @transact("delete an image")
    def delete(self, image_id: str, tenant_id: str, *, at: datetime) -> Transaction[DeletedImage]:
        values.check_storable("image_id", image_id)
        key = {"image_id": image_id}
        image = yield from first(_SQL["delete.lock"], **key, tenant_id=tenant_id)
        if image is None:
            return DeletedImage(is_found=False)
        used = yield from only(_SQL["delete.users"], **key)
        if used["open"]:
            return DeletedImage(True, used["open"])
        if used["users"]:
            yield from fetch(_SQL["delete.hide"], **key, at=at)
        else:
            yield from fetch(_SQL["delete.outright"], **key)
        yield from fetch(_SQL["delete.chunks"], upload_id=image["upload_id"])
        yield from fetch(_SQL["delete.point"], tenant_id=tenant_id, name=image["name"])
        return DeletedImage(True, is_hidden=used["users"] > 0)

    @transact("store an image's problem", is_repeatable=True)
    def set_problem(self, image_id: str, problem: str | None) -> Transaction[bool]:
        values.check_storable("image_id", image_id)
        if problem is not None:
            values.check_note("problem", problem)
        if (yield from first(_SQL["set_problem"], image_id=image_id, problem=problem)) is None:
            return False
        if problem is None:
            yield from fetch(_SQL["tell"])
            return True
        for row in (yield from fetch(_SQL["set_problem.waiting"], image_id=image_id)):
            yield from moves.block(row["instance_id"], problem)
        return True

    async def sweep(self, before: datetime, *, limit: int = 100) -> int:
        swept = await self._abandoned(before, limit)
        for upload_id in swept:
            # Each upload is deleted in a transaction of its own: it may have 256 MiB.
            await self.discard(upload_id)
        return len(swept)

    @transact("read abandoned uploads", only_reads=True)
    def _abandoned(self, before: datetime, limit: int) -> Transaction[Sequence[str]]:
        values.check_limit(limit)
        found = yield from fetch(_SQL["sweep"], before=before, limit=limit)
        return [row["upload_id"] for row in found]


def _move_stuck(image: Image, at: datetime) -> Transaction[None]:
    key = {"tenant_id": image.tenant_id, "name": image.name, "image_id": image.image_id}
    stuck = yield from fetch(_SQL["register.stuck"], **key)
    if stuck:
        moved = [row["instance_id"] for row in stuck]
        yield from fetch(_SQL["register.move"], image_id=image.image_id, instance_ids=moved)
        yield from moves.unblock([row["instance_id"] for row in stuck if row["is_blocked"]], at)
