"""Images: workflow code that an environment can run."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import IO

from runtara_management_sdk import image_reading, reading
from runtara_management_sdk.answers import Asks
from runtara_management_sdk.image_records import Image, RegisteredImage, Runner
from runtara_protocol.pb import environment_pb2 as pb

CHUNK = 256 * 1024
PAGE = 100


class Images:
    """The images that an environment stores."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def register(
        self,
        tenant_id: str,
        name: str,
        source: bytes | Path,
        runner: Runner,
        *,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        on_progress: Callable[[int, int], None] = lambda sent, size: None,
    ) -> RegisteredImage:
        """
        Register a new version of the name, or return the newest version if it is the same image.

        The source is sent as a stream, with its size and SHA-256, which the server verifies. After
        each piece `on_progress` is called with the number of bytes sent so far and of all bytes.
        Raises OSError if the file can't be read, ServerError if the environment refuses the image.
        """
        size, sha256 = _measured(source)
        start = pb.RegisterImageStreamStart(
            tenant_id=tenant_id,
            name=name,
            description=description,
            binary_size=size,
            runner_type=image_reading.RUNNERS[runner],
            metadata=None if metadata is None else json.dumps(dict(metadata)).encode(),
            sha256=sha256,
        )

        async def body() -> AsyncIterator[bytes]:
            sent = 0
            with closing(_opened(source)) as file:
                while piece := file.read(CHUNK):
                    yield piece
                    sent += len(piece)
                    on_progress(sent, size)

        answer = await self._transport.upload(pb.RpcRequest(register_image_stream=start), body)
        created = reading.field(answer, "created")
        return RegisteredImage(
            answer.image_id, reading.field(answer, "version"), created is None or created
        )

    async def list(
        self,
        tenant_id: str | None = None,
        *,
        all_versions: bool = False,
        name_prefix: str | None = None,
    ) -> AsyncIterator[Image]:
        """
        Yield images, newest first: the newest version of each name, or all versions.

        tenant_id: None stands for all tenants. name_prefix: yields only images of such names.
        """
        offset = 0
        while True:
            request = pb.ListImagesRequest(
                tenant_id=tenant_id,
                limit=PAGE,
                offset=offset,
                all_versions=all_versions,
                name_prefix=name_prefix,
            )
            answer = await self._transport.ask(pb.RpcRequest(list_images=request))
            for message in answer.images:
                yield image_reading.image(message)
            offset += len(answer.images)
            if not answer.images or offset >= answer.total_count:
                return

    async def get(self, image_id: str, tenant_id: str) -> Image | None:
        """Return an image; None if there is none, or if it is another tenant's."""
        request = pb.GetImageRequest(image_id=image_id, tenant_id=tenant_id)
        answer = await self._transport.ask(pb.RpcRequest(get_image=request))
        return image_reading.image(answer.image) if answer.found else None

    async def delete(self, image_id: str, tenant_id: str) -> None:
        """
        Delete an image.

        Raises ImageInUse while open instances use it, ImageNotFound if the tenant has no such one.
        """
        request = pb.DeleteImageRequest(image_id=image_id, tenant_id=tenant_id)
        await self._transport.ask(pb.RpcRequest(delete_image=request), is_repeatable=False)


def _opened(source: bytes | Path) -> IO[bytes]:
    return BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _measured(source: bytes | Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with closing(_opened(source)) as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
