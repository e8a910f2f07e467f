"""Registering images, reading and deleting them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from runtara_domain.error import ImageNotFound, InvalidValue
from runtara_domain.model.images import MAX_CHUNK_BYTES, ImageFilter, NewImage
from runtara_environment.errors import ImageInUse
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_domain.model.images import RegisteredImage
    from runtara_domain.model.stored_images import Image
    from runtara_environment.management import Management, ManagementRequest


async def register_image(
    core: Management, request: ManagementRequest, message: pb.RegisterImageRequest
) -> pb.RpcResponse:
    """Register an image whose bytes came with the request."""

    async def pieces() -> AsyncIterator[bytes]:
        yield message.binary

    if not message.binary:
        translation.required(message, "tenant_id")
        translation.required(message, "name")
        raise InvalidValue("binary is required")
    return await _registered(core, message, len(message.binary), None, pieces())


async def register_image_stream(
    core: Management, request: ManagementRequest, message: pb.RegisterImageStreamStart
) -> pb.RpcResponse:
    """
    Register an image whose bytes follow the request.

    A refused upload is read to its stated size, and then answered; an upload that ends early is
    refused, and nothing of it is kept.
    """
    pieces = _following(request, message.binary_size)
    try:
        if not message.binary_size:
            raise InvalidValue("binary is required")
        sha256 = translation.optional(message, "sha256")
        return await _registered(core, message, message.binary_size, sha256, pieces)
    except InvalidValue:
        # A client sends all before it reads the answer.
        async for _ in pieces:
            continue
        raise


async def _registered(
    core: Management,
    message: pb.RegisterImageRequest | pb.RegisterImageStreamStart,
    size: int,
    sha256: str | None,
    pieces: AsyncIterator[bytes],
) -> pb.RpcResponse:
    tenant_id = translation.required(message, "tenant_id")
    name = translation.required(message, "name")
    runner_type = translation.runner(message.runner_type)
    metadata = translation.metadata(message.metadata)
    if size > core.image_max_bytes:
        raise InvalidValue(
            f"binary: takes at most {core.image_max_bytes} bytes (RUNTARA_IMAGE_MAX_BYTES),"
            f" got {size}"
        )
    # Only now: a command that explains reads an image, and needs no file.
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="runtara-image-") as file:
        found = await _received(pieces, file, size, sha256)
        # A zip is read to its end, which may take seconds.
        await asyncio.to_thread(core.check_image, Path(file.name), runner_type, metadata)
        new = NewImage(
            image_id=uuid4().hex,
            tenant_id=tenant_id,
            name=name,
            runner_type=runner_type,
            sha256=found,
            size_bytes=size,
            description=translation.optional(message, "description"),
            metadata=metadata,
        )
        registered = await _kept(core, new, file)
    await _declare_schedule(core, registered.image)
    core.launcher.recheck()
    return pb.RpcResponse(
        register_image=pb.RegisterImageResponse(
            success=True,
            image_id=registered.image.image_id,
            version=registered.image.version,
            created=registered.created,
        )
    )


async def _declare_schedule(core: Management, image: Image) -> None:
    """Keep the schedule that an image's metadata declares, or that it declares none any more."""
    # Only now: most commands on a database register no image.
    from runtara_domain.use_cases.schedules import ManageSchedules
    from runtara_schedules import declared

    persistence = core.persistence
    manage = ManageSchedules(persistence.schedules, persistence.launches, core.calendar)
    found = image.metadata.get("schedule")
    schedule = None
    if isinstance(found, Mapping):
        schedule = declared.schedule(found, image.tenant_id, image.workflow)
    await manage.declare(
        image.tenant_id, image.workflow, image.image_id, schedule, at=core.launcher.now()
    )
    core.launcher.recheck_schedules()


async def _following(request: ManagementRequest, size: int) -> AsyncIterator[bytes]:
    """Yield the bytes that follow a request, at most its stated size."""
    left = size
    while left > 0 and (piece := await request.upload.read()):
        yield piece[:left]
        left -= len(piece)


async def _received(
    pieces: AsyncIterator[bytes], file: IO[bytes], size: int, sha256: str | None
) -> str:
    """Write an image's bytes into a file; gives their SHA-256, raises InvalidValue for others."""
    digest = hashlib.sha256()
    async for piece in pieces:
        digest.update(piece)
        file.write(piece)
    if file.tell() != size:
        raise InvalidValue(f"binary: takes {size} bytes (binary_size), got {file.tell()}")
    found = digest.hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise InvalidValue(f"sha256: takes that of the bytes, {found}, got {sha256}")
    file.flush()
    return found


async def _kept(core: Management, new: NewImage, file: IO[bytes]) -> RegisteredImage:
    """Store an image with its bytes, or nothing of it."""
    images = core.persistence.images
    upload_id = uuid4().hex
    file.seek(0)
    try:
        for position, chunk in enumerate(iter(partial(file.read, MAX_CHUNK_BYTES), b"")):
            await images.put_chunk(upload_id, position, chunk, at=core.launcher.now())
        return await images.register(new, upload_id, at=core.launcher.now())
    except BaseException:
        await images.discard(upload_id)
        raise


async def list_images(
    core: Management, request: ManagementRequest, message: pb.ListImagesRequest
) -> pb.RpcResponse:
    """List images, newest first."""
    which = ImageFilter(
        translation.optional(message, "tenant_id"),
        message.all_versions,
        translation.optional(message, "name_prefix") or "",
    )
    images = await core.persistence.images.page(
        which, offset=message.offset, limit=translation.limit(message)
    )
    return pb.RpcResponse(
        list_images=pb.ListImagesResponse(
            images=map(translation.image, images),
            total_count=await core.persistence.images.count(which),
        )
    )


async def get_image(
    core: Management, request: ManagementRequest, message: pb.GetImageRequest
) -> pb.RpcResponse:
    """Read an image; a missing one and another tenant's are not found alike."""
    found = await core.persistence.images.get(
        translation.required(message, "image_id"), translation.required(message, "tenant_id")
    )
    if found is None or found.deleted_at is not None:
        return pb.RpcResponse(get_image=pb.GetImageResponse(found=False))
    return pb.RpcResponse(get_image=pb.GetImageResponse(found=True, image=translation.image(found)))


async def delete_image(
    core: Management, request: ManagementRequest, message: pb.DeleteImageRequest
) -> pb.RpcResponse:
    """Delete an image that no open instance uses."""
    image_id = translation.required(message, "image_id")
    deleted = await core.persistence.images.delete(
        image_id, translation.required(message, "tenant_id"), at=core.launcher.now()
    )
    if not deleted.is_found:
        raise ImageNotFound(image_id)
    if deleted.open_instances:
        raise ImageInUse(
            f"Image {image_id!r} is used by {deleted.open_instances} open instances: let them"
            " finish, stop them, or move them to another image"
        )
    return pb.RpcResponse(delete_image=pb.DeleteImageResponse(success=True))
