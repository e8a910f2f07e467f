"""Images in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.images import (
    MAX_CHUNK_BYTES,
    DeletedImage,
    ImageFilter,
    NewImage,
    RegisteredImage,
)
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.stored_images import Image
from runtara_domain.status import State
from runtara_persistence import records, stored
from runtara_persistence.memory import bounding, launching
from runtara_persistence.memory.rows import ChunkRow, ImageRow, InstanceRow
from runtara_persistence.memory.store import OnStore, step


class MemoryImages(OnStore):
    """Fits `runtara_domain.ports.images.Images`."""

    @step
    def put_chunk(self, upload_id: str, position: int, data: bytes, *, at: datetime) -> None:
        values.check_id("upload_id", upload_id)
        values.check_range("position", position, 0, values.MAX_LIMIT)
        values.check_bytes("data", data, MAX_CHUNK_BYTES)
        known = self._store.image_chunks.get((upload_id, position))
        if known is not None and known.data != data:
            raise InvalidValue(f"position: {position} of the upload has other bytes already")
        row = ChunkRow(upload_id=upload_id, position=position, data=data, created_at=at)
        self._store.image_chunks.setdefault((upload_id, position), row)

    @step
    def register(self, new: NewImage, upload_id: str | None, *, at: datetime) -> RegisteredImage:
        versions = list(self._versions(new.tenant_id, new.name))
        newest = self._current(new.tenant_id, new.name)
        if newest is not None and stored.is_same_image(records.image(newest), new):
            self._forget(upload_id)
            return RegisteredImage(records.image(newest), created=False)
        self._check_upload(new, upload_id)
        for row in versions:
            row.is_current = False
        row = ImageRow(
            image_id=new.image_id,
            tenant_id=new.tenant_id,
            name=new.name,
            description=new.description,
            binary_path="",
            runner_type=new.runner_type,
            created_at=at,
            updated_at=at,
            metadata=new.metadata_text,
            version=max((row.version for row in versions), default=0) + 1,
            sha256=new.sha256,
            size_bytes=new.size_bytes,
            upload_id=upload_id,
        )
        self._store.images[row.image_id] = row
        self._bound(records.image(row))
        self._move_stuck(row, at)
        self._store.watchers.tell_launchable()
        return RegisteredImage(records.image(row), created=True)

    @step
    def discard(self, upload_id: str) -> None:
        values.check_storable("upload_id", upload_id)
        self._forget(upload_id)

    @step
    def get(self, image_id: str, tenant_id: str | None = None) -> Image | None:
        values.check_storable("image_id", image_id)
        row = self._store.images.get(image_id)
        if row is None or tenant_id not in (None, row.tenant_id):
            return None
        return records.image(row)

    @step
    def current(self, tenant_id: str, name: str) -> Image | None:
        values.check_storable("name", name)
        row = self._current(tenant_id, name)
        return None if row is None else records.image(row)

    @step
    def page(self, which: ImageFilter, *, offset: int = 0, limit: int = 100) -> Sequence[Image]:
        values.check_range("offset", offset, 0, values.MAX_INTEGER)
        values.check_limit(limit)
        rows = sorted(
            self._chosen(which), key=lambda row: (-row.created_at.timestamp(), row.image_id)
        )
        return [records.image(row) for row in rows[offset : offset + limit]]

    @step
    def count(self, which: ImageFilter) -> int:
        return len(list(self._chosen(which)))

    @step
    def chunk(self, image_id: str, position: int) -> bytes | None:
        values.check_storable("image_id", image_id)
        row = self._store.images.get(image_id)
        if row is None or row.upload_id is None:
            return None
        found = self._store.image_chunks.get((row.upload_id, position))
        return None if found is None else found.data

    @step
    def delete(self, image_id: str, tenant_id: str, *, at: datetime) -> DeletedImage:
        values.check_storable("image_id", image_id)
        row = self._store.images.get(image_id)
        if row is None or row.tenant_id != tenant_id or row.deleted_at is not None:
            return DeletedImage(is_found=False)
        users = [
            each
            for each in self._store.instances.values()
            if launching.image_of(self._store, each) == image_id
        ]
        open_instances = sum(not each.state.is_final for each in users)
        if open_instances:
            return DeletedImage(True, open_instances)
        upload_id, row.upload_id = row.upload_id, None
        self._forget(upload_id)
        is_hidden = bool(users)
        row.deleted_at, row.is_current = at, False
        if not is_hidden:
            self._store.forget_image(image_id)
        self._point_to_newest(row)
        return DeletedImage(True, is_hidden=is_hidden)

    @step
    def set_problem(self, image_id: str, problem: str | None) -> bool:
        values.check_storable("image_id", image_id)
        if problem is not None:
            values.check_note("problem", problem)
        row = self._store.images.get(image_id)
        if row is None:
            return False
        row.problem = problem
        if problem is None:
            self._store.watchers.tell_launchable()
            return True
        for each in self._waiting_for(image_id):
            told = self._store.unacknowledged(each.instance_id)
            each.block(problem, told, each.last_activity_at or each.created_at)
        return True

    @step
    def sweep(self, before: datetime, *, limit: int = 100) -> int:
        values.check_limit(limit)
        owned = {row.upload_id for row in self._store.images.values()}
        begun = {
            upload_id
            for (upload_id, position), chunk in self._store.image_chunks.items()
            if position == 0 and chunk.created_at < before and upload_id not in owned
        }
        swept = sorted(begun)[:limit]
        for upload_id in swept:
            self._forget(upload_id)
        return len(swept)

    def _versions(self, tenant_id: str, name: str) -> Iterator[ImageRow]:
        for row in self._store.images.values():
            if (row.tenant_id, row.name) == (tenant_id, name):
                yield row

    def _current(self, tenant_id: str, name: str) -> ImageRow | None:
        versions = self._versions(tenant_id, name)
        shown = (row for row in versions if row.is_current and row.deleted_at is None)
        return max(shown, key=lambda row: row.version, default=None)

    def _point_to_newest(self, gone: ImageRow) -> None:
        left = [row for row in self._versions(gone.tenant_id, gone.name) if row.deleted_at is None]
        newest = max(left, key=lambda row: row.version, default=None)
        if newest is not None:
            newest.is_current = True

    def _chosen(self, which: ImageFilter) -> Iterator[ImageRow]:
        for row in self._store.images.values():
            if (
                row.deleted_at is None
                and which.tenant_id in (None, row.tenant_id)
                and (which.all_versions or row.is_current)
                and row.name.startswith(which.name_prefix)
            ):
                yield row

    def _check_upload(self, new: NewImage, upload_id: str | None) -> None:
        chunks = sorted(
            (position, len(chunk.data))
            for (upload, position), chunk in self._store.image_chunks.items()
            if upload == upload_id
        )
        stored.check_upload(new, len(chunks), chunks[-1][0] if chunks else -1, _size(chunks))

    def _forget(self, upload_id: str | None) -> None:
        if upload_id is None or any(
            row.upload_id == upload_id for row in self._store.images.values()
        ):
            return
        for key in [key for key in self._store.image_chunks if key[0] == upload_id]:
            del self._store.image_chunks[key]

    def _bound(self, image: Image) -> None:
        if image.max_concurrent is not None:
            key = (Scope.IMAGE.value, image.tenant_id, image.name)
            known = self._store.limits.get(key, Limit(Scope.IMAGE, image.tenant_id, image.name))
            limit = replace(known, max_concurrent=image.max_concurrent)
            bounding.bound(self._store, limit)

    def _move_stuck(self, new: ImageRow, at: datetime) -> None:
        """Move instances that are blocked or can't be launched with older versions to this one."""
        older = {row.image_id: row for row in self._versions(new.tenant_id, new.name)}
        del older[new.image_id]
        for row in self._store.instances.values():
            image = older.get(row.image_id or "")
            if image is None or row.launch_id is not None or row.state.is_final:
                continue
            if row.blocked_reason is not None or image.problem is not None:
                row.image_id = new.image_id
            if row.blocked_reason is not None:
                launching.unblock(self._store, row, at)

    def _waiting_for(self, image_id: str) -> Iterator[InstanceRow]:
        for row in self._store.instances.values():
            is_idle = row.launch_id is None and row.state in (State.PENDING, State.RUNNING)
            if row.image_id == image_id and is_idle:
                yield row


def _size(chunks: Sequence[tuple[int, int]]) -> int:
    return sum(size for _, size in chunks)
