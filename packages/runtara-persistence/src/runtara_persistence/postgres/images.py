"""Images in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.images import MAX_CHUNK_BYTES, DeletedImage, RegisteredImage
from runtara_domain.status import OPEN
from runtara_persistence import queries, records, stored
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import OnDatabase, transact
from runtara_persistence.postgres.transactor import run_transaction
from runtara_persistence.transactions import moves

if TYPE_CHECKING:
    from runtara_domain.model.images import ImageFilter, NewImage
    from runtara_domain.model.stored_images import Image
    from runtara_persistence.postgres.connection import Connection

_SQL = queries.load("runtara_persistence.postgres", "images.sql")
_BOUND = queries.load("runtara_persistence.postgres", "limits.sql")["bound"]
_OF_AN_IMAGE = "image"
"""`Scope.IMAGE`, whose module commands that only read need not import."""
_BLOCK = queries.load("runtara_persistence.postgres", "instances.sql")["block"]


class PostgresImages(OnDatabase):
    """Fits `runtara_domain.ports.images.Images`."""

    async def put_chunk(self, upload_id: str, position: int, data: bytes, *, at: datetime) -> None:
        values.check_id("upload_id", upload_id)
        values.check_range("position", position, 0, values.MAX_LIMIT)
        values.check_bytes("data", data, MAX_CHUNK_BYTES)
        attempt = "store a part of an image"
        [row] = await self._database.write(
            attempt, _SQL["put_chunk"], upload_id, position, at, data, is_repeatable=True
        )
        if not row["is_same"]:
            raise InvalidValue(f"position: {position} of the upload has other bytes already")

    @transact("register an image")
    async def register(
        self,
        connection: Connection,
        new: NewImage,
        upload_id: str | None,
        *,
        at: datetime,
    ) -> RegisteredImage:
        name = (new.tenant_id, new.name)
        await connection.execute(_SQL["register.lock"], *name)
        found = await connection.fetch(_SQL["current"], *name)
        if found and stored.is_same_image(records.image(found[0]), new):
            await connection.execute(_SQL["discard"], upload_id)
            return RegisteredImage(records.image(found[0]), created=False)
        [upload] = await connection.fetch(_SQL["register.measure"], upload_id)
        stored.check_upload(new, upload["chunks"], upload["last_position"], upload["size"])
        [last] = await connection.fetch(_SQL["register.last_version"], *name)
        await connection.execute(_SQL["register.retire"], *name)
        [row] = await connection.fetch(
            _SQL["register.insert"],
            new.image_id,
            *name,
            new.description,
            new.runner_type.value,
            at,
            new.metadata_text,
            last["version"] + 1,
            new.sha256,
            new.size_bytes,
            upload_id,
        )
        image = records.image(row)
        if image.max_concurrent is not None:
            await connection.execute(_SQL["register.bound"], *name, image.max_concurrent)
        stuck = await connection.fetch(_SQL["register.move_stuck"], *name, image.image_id)
        blocked = [each["instance_id"] for each in stuck if each["is_blocked"]]
        await run_transaction(connection, moves.unblock(blocked, at))
        if image.max_concurrent is not None:
            # After the instances: a step that closes a launch locks its instance first, too.
            await connection.execute(_BOUND, _OF_AN_IMAGE, *name)
        await connection.execute(_SQL["tell"])
        return RegisteredImage(image, created=True)

    async def discard(self, upload_id: str) -> None:
        await self._database.write(
            "delete an upload", _SQL["discard"], upload_id, is_repeatable=True
        )

    async def get(self, image_id: str, tenant_id: str | None = None) -> Image | None:
        values.check_storable("image_id", image_id)
        found = await self._database.read("read an image", _SQL["get"], image_id, tenant_id)
        return records.image(found[0]) if found else None

    async def current(self, tenant_id: str, name: str) -> Image | None:
        values.check_storable("name", name)
        found = await self._database.read(
            "read the newest version of an image", _SQL["current"], tenant_id, name
        )
        return records.image(found[0]) if found else None

    async def page(
        self, which: ImageFilter, *, offset: int = 0, limit: int = 100
    ) -> Sequence[Image]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        found = await self._database.read(
            "list images", _SQL["page"], *records.columns(which).values(), limit, offset
        )
        return [records.image(row) for row in found]

    async def count(self, which: ImageFilter) -> int:
        [row] = await self._database.read_much(
            "count images", _SQL["count"], *records.columns(which).values()
        )
        return int(row["count"])

    async def chunk(self, image_id: str, position: int) -> bytes | None:
        found = await self._database.read(
            "read a part of an image", _SQL["chunk"], image_id, position
        )
        return found[0]["data"] if found else None

    @transact("delete an image")
    async def delete(
        self, connection: Connection, image_id: str, tenant_id: str, *, at: datetime
    ) -> DeletedImage:
        found = await connection.fetch(_SQL["delete.lock"], image_id, tenant_id)
        if not found:
            return DeletedImage(is_found=False)
        [used] = await connection.fetch(_SQL["delete.users"], image_id)
        if used["open"]:
            return DeletedImage(True, used["open"])
        if used["users"]:
            await connection.execute(_SQL["delete.hide"], image_id, at)
        else:
            await connection.execute(_SQL["delete.outright"], image_id)
        [image] = found
        await connection.execute(_SQL["delete.chunks"], [image["upload_id"]])
        await connection.execute(_SQL["delete.point"], tenant_id, image["name"])
        return DeletedImage(True, is_hidden=used["users"] > 0)

    @transact("store an image's problem", is_repeatable=True)
    async def set_problem(self, connection: Connection, image_id: str, problem: str | None) -> bool:
        if problem is not None:
            values.check_note("problem", problem)
        if not await connection.fetch(_SQL["set_problem"], image_id, problem):
            return False
        if problem is None:
            await connection.execute(_SQL["tell"])
            return True
        for row in await connection.fetch(_SQL["set_problem.waiting"], image_id):
            moved = (rows.states(OPEN), problem, "suspended")
            await connection.execute(_BLOCK, row["instance_id"], None, *moved)
        return True

    async def sweep(self, before: datetime, *, limit: int = 100) -> int:
        values.check_limit(limit)
        attempt = "delete abandoned uploads"
        found = await self._database.read(attempt, _SQL["sweep"], before, limit)
        for row in found:
            # Each upload is deleted in a transaction of its own: it may have 256 MiB.
            await self._database.write(
                attempt, _SQL["discard"], row["upload_id"], is_repeatable=True
            )
        return len(found)
