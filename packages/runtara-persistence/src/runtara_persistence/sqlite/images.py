"""Images in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.images import MAX_CHUNK_BYTES, DeletedImage, RegisteredImage
from runtara_domain.model.limits import Scope
from runtara_persistence import queries, records, stored
from runtara_persistence.sqlite import moves, rows
from runtara_persistence.sqlite.database import OnDatabase, read, write
from runtara_persistence.sqlite.rows import to_text
from runtara_persistence.sqlite.transactor import run_transaction
from runtara_persistence.transactions.moves import unblock

if TYPE_CHECKING:
    from runtara_domain.model.images import ImageFilter, NewImage
    from runtara_domain.model.stored_images import Image

_SQL = queries.load("runtara_persistence.sqlite", "images.sql")
_BOUND = queries.load("runtara_persistence.sqlite", "limits.sql")["bound"]


class SqliteImages(OnDatabase):
    """Fits `runtara_domain.ports.images.Images`."""

    @write("keep a part of an image")
    def put_chunk(
        self,
        connection: sqlite3.Connection,
        upload_id: str,
        position: int,
        data: bytes,
        *,
        at: datetime,
    ) -> None:
        values.check_id("upload_id", upload_id)
        values.check_range("position", position, 0, values.MAX_LIMIT)
        values.check_bytes("data", data, MAX_CHUNK_BYTES)
        chunk = {"upload_id": upload_id, "position": position, "data": data, "at": to_text(at)}
        if connection.execute(_SQL["put_chunk"], chunk).rowcount == 0:
            [is_same] = connection.execute(_SQL["put_chunk.is_same"], chunk).fetchone()
            if not is_same:
                raise InvalidValue(f"position: {position} of the upload has other bytes already")

    @write("register an image")
    def register(
        self, connection: sqlite3.Connection, new: NewImage, upload_id: str | None, *, at: datetime
    ) -> RegisteredImage:
        name = {"tenant_id": new.tenant_id, "name": new.name}
        newest = rows.first(connection, _SQL["current"], name, records.image)
        if newest is not None and stored.is_same_image(newest, new):
            connection.execute(_SQL["discard"], {"upload_id": upload_id})
            return RegisteredImage(newest, created=False)
        upload = connection.execute(_SQL["register.measure"], {"upload_id": upload_id}).fetchone()
        stored.check_upload(new, *upload)
        [last] = connection.execute(_SQL["register.last_version"], name).fetchone()
        connection.execute(_SQL["register.retire"], name)
        inserted = {
            **name,
            "image_id": new.image_id,
            "description": new.description,
            "runner_type": new.runner_type,
            "at": to_text(at),
            "metadata": new.metadata_text,
            "version": last + 1,
            "sha256": new.sha256,
            "size_bytes": new.size_bytes,
            "upload_id": upload_id,
        }
        connection.execute(_SQL["register.insert"], inserted)
        [image] = rows.found(connection, _SQL["current"], name, records.image)
        if image.max_concurrent is not None:
            connection.execute(
                _SQL["register.bound"], {**name, "max_concurrent": image.max_concurrent}
            )
            connection.execute(_BOUND, {**name, "scope": Scope.IMAGE.value})
        _move_stuck(connection, image, at)
        connection.execute(_SQL["tell"])
        return RegisteredImage(image, created=True)

    @write("forget an upload")
    def discard(self, connection: sqlite3.Connection, upload_id: str) -> None:
        connection.execute(_SQL["discard"], {"upload_id": upload_id})

    @read("read an image")
    def get(
        self, connection: sqlite3.Connection, image_id: str, tenant_id: str | None = None
    ) -> Image | None:
        values.check_storable("image_id", image_id)
        key = {"image_id": image_id, "tenant_id": tenant_id}
        return rows.first(connection, _SQL["get"], key, records.image)

    @read("read the newest version of an image")
    def current(self, connection: sqlite3.Connection, tenant_id: str, name: str) -> Image | None:
        values.check_storable("name", name)
        key = {"tenant_id": tenant_id, "name": name}
        return rows.first(connection, _SQL["current"], key, records.image)

    @read("list images")
    def page(
        self,
        connection: sqlite3.Connection,
        which: ImageFilter,
        *,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[Image]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        asked = {**records.columns(which), "offset": offset, "limit": limit}
        return rows.found(connection, _SQL["page"], asked, records.image)

    @read("count images")
    def count(self, connection: sqlite3.Connection, which: ImageFilter) -> int:
        [found] = connection.execute(_SQL["count"], records.columns(which)).fetchone()
        return int(found)

    @read("read a part of an image")
    def chunk(self, connection: sqlite3.Connection, image_id: str, position: int) -> bytes | None:
        key = {"image_id": image_id, "position": position}
        row = connection.execute(_SQL["chunk"], key).fetchone()
        return None if row is None else bytes(row[0])

    @write("delete an image")
    def delete(
        self, connection: sqlite3.Connection, image_id: str, tenant_id: str, *, at: datetime
    ) -> DeletedImage:
        key = {"image_id": image_id, "tenant_id": tenant_id, "at": to_text(at)}
        row = connection.execute(_SQL["delete.find"], key).fetchone()
        if row is None:
            return DeletedImage(is_found=False)
        users, open_instances = connection.execute(_SQL["delete.users"], key).fetchone()
        if open_instances:
            return DeletedImage(True, open_instances)
        upload_id, name = row
        if users:
            connection.execute(_SQL["delete.hide"], key)
        else:
            connection.execute(_SQL["delete.outright"], key)
        connection.execute(_SQL["delete.chunks"], {"upload_id": upload_id})
        connection.execute(_SQL["delete.point"], {"tenant_id": tenant_id, "name": name})
        return DeletedImage(True, is_hidden=bool(users))

    @write("note why an image can't be run")
    def set_problem(
        self, connection: sqlite3.Connection, image_id: str, problem: str | None
    ) -> bool:
        if problem is not None:
            values.check_note("problem", problem)
        key = {"image_id": image_id, "problem": problem}
        if connection.execute(_SQL["set_problem"], key).rowcount == 0:
            return False
        if problem is None:
            connection.execute(_SQL["tell"])
            return True
        waiting = connection.execute(_SQL["set_problem.waiting"], key).fetchall()
        for (instance_id,) in waiting:
            moves.block(connection, instance_id, problem)
        return True

    @write("forget uploads that were given up")
    def sweep(self, connection: sqlite3.Connection, before: datetime, *, limit: int = 100) -> int:
        values.check_limit(limit)
        asked = {"before": to_text(before), "limit": limit}
        swept = [
            {"upload_id": upload_id} for (upload_id,) in connection.execute(_SQL["sweep"], asked)
        ]
        connection.executemany(_SQL["delete.chunks"], swept)
        return len(swept)


def _move_stuck(connection: sqlite3.Connection, image: Image, at: datetime) -> None:
    name = {"tenant_id": image.tenant_id, "name": image.name, "image_id": image.image_id}
    stuck = connection.execute(_SQL["register.stuck"], name).fetchall()
    for instance_id, _ in stuck:
        connection.execute(
            _SQL["register.move"], {"image_id": image.image_id, "instance_id": instance_id}
        )
    blocked = [instance_id for instance_id, is_blocked in stuck if is_blocked]
    run_transaction(connection, unblock(blocked, at), [])
